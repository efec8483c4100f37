"""The operations of an ONNX graph that depend on its input, and which are quantized products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from hwflow.exchange.operations import operation_of
from hwflow.graphs.bottlenecks import INPUT, Order


class Activations:
    """An ONNX graph of one input and one output, seen as its activations.

    Args:
        model: its nodes are in order of computation.
        quantized: initializers that are known to be integers times a scale.

    Attributes:
        constants: names of the tensors that do not depend on the input.
        nodes: operations that depend on the input and that the output depends on, in order.
        order: how they depend on each other.
    """

    def __init__(self, model: onnx.ModelProto, quantized: Iterable[str] = ()) -> None:
        self.model = model
        self.quantized = frozenset(quantized)
        graph = model.graph
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.constants = {"", *(tensor.name for tensor in graph.initializer)}
        for node in graph.node:
            if all(name in self.constants for name in node.input):
                self.constants.update(node.output)
        self.nodes = self._needed()
        number = {name: i for i, node in enumerate(self.nodes) for name in node.output if name}
        number[graph.input[0].name] = INPUT
        reads = tuple(
            tuple(number.get(name, INPUT) for name in self.activations(node)) for node in self.nodes
        )
        products = frozenset(i for i, node in enumerate(self.nodes) if self.is_product(node))
        self.order = Order(reads, products)

    def activations(self, node: onnx.NodeProto) -> list[str]:
        """The operands of a node that depend on the input."""
        return [name for name in node.input if name not in self.constants]

    def number(self, tensor: str) -> int:
        """The number of the operation that makes a tensor."""
        return next(i for i, node in enumerate(self.nodes) if tensor in node.output)

    def find(self, node: onnx.NodeProto) -> int | None:
        """The number of an operation; None where the output does not depend on it."""
        numbers = (i for i, other in enumerate(self.nodes) if node.output[0] in other.output)
        return next(numbers, None)

    def is_product(self, node: onnx.NodeProto) -> bool:
        """Whether a node multiplies by quantized weights."""
        if not operation_of(node).product or len(node.input) < 2:
            return False
        return node.input[1] in self.constants and self._from_quantizer(node.input[1])

    def constant_nodes(self, names: list[str]) -> list[onnx.NodeProto]:
        """The nodes that make constants, in order."""
        wanted = set(names)
        nodes = []
        for node in reversed(self.model.graph.node):
            if wanted.intersection(node.output) and set(node.output) <= self.constants:
                nodes.append(node)
                wanted.update(node.input)
        return nodes[::-1]

    def _from_quantizer(self, name: str) -> bool:
        while name in self.makers:
            node = self.makers[name]
            if operation_of(node).quantizes:
                return True
            name = node.input[0] if node.input else ""
        return name in self.quantized

    def _needed(self) -> list[onnx.NodeProto]:
        return list(self._backwards())[::-1]

    def _backwards(self) -> Iterator[onnx.NodeProto]:
        wanted = {self.model.graph.output[0].name}
        for node in reversed(self.model.graph.node):
            if wanted.intersection(node.output) and not set(node.output) <= self.constants:
                wanted.update(node.input)
                yield node
