"""Where a network is divided into what the accelerator computes and what is left to the host.

Hardware begins with the codes of a quantizer through which every path goes, and ends with the class
or with integers that the host goes on from. The network is lowered; where an operation is refused
that lies before all quantized layers, or behind all of them, the border moves past it and the rest
is lowered again. Layers with quantized weights are never moved: what is wrong with one, or with
anything between them, is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.dataflow.integers import (
    InputCode,
    NotLoweredError,
    OutputCode,
    to_integers,
    to_output_integers,
)
from hwflow.errors import HwflowError
from hwflow.exchange.activations import Activations
from hwflow.exchange.operations import operation_of
from hwflow.exchange.reference import Reference, supported
from hwflow.graphs.bottlenecks import INPUT, Place
from hwflow.host.files import head_file, tail_file

NETWORK, FOLDER = "network.onnx", "host"
HEAD, TAIL, OUTPUT = "head.onnx", "tail.onnx", "output.npz"


@dataclass(frozen=True)
class Part:
    """What the host computes of the network.

    Attributes:
        file: the operations as a file.
        operations: name and type of each, in order.
        reason: why hardware does not take them; None: a head that only quantizes.
    """

    file: onnx.ModelProto
    operations: list[tuple[str, str]]
    reason: str | None = None


@dataclass(frozen=True)
class Division:
    """A divided network.

    Attributes:
        network: what the accelerator computes, QONNX; behind a head it begins with the quantizer
            whose codes the accelerator takes.
        graph: the same in integers, see `dataflow.integers`.
        quantizers: see `dataflow.integers.to_integers`.
        head: what the host does before it; None: the accelerator takes the data's integers.
        tail: what the host does behind it; None: the accelerator gives the class.
        output: with a tail, what the accelerator's output integers mean.
    """

    network: onnx.ModelProto
    graph: ModelWrapper
    quantizers: dict[str, str]
    head: Part | None
    tail: Part | None
    output: OutputCode | None

    @property
    def is_simple(self) -> bool:
        """Whether the host does no more than quantize, if that."""
        quantizing = self.head is None or len(self.head.operations) == 1
        return quantizing and self.tail is None

    def facts(self) -> dict[str, Any] | None:
        """As JSON: file and operations of the head and of the tail; None: there is no host part."""
        if self.head is None and self.tail is None:
            return None
        parts = {"head": (self.head, HEAD), "tail": (self.tail, TAIL)}
        return {
            what: None
            if part is None
            else {
                "file": f"dataflow/{FOLDER}/{name}",
                "operations": [{"name": n, "op": op} for n, op in part.operations],
            }
            for what, (part, name) in parts.items()
        }

    def save(self, folder: Path) -> None:
        """Write the parts into a folder, as `software.Software` reads them."""
        onnx.save(self.network, str(folder / NETWORK))
        if self.head is None and self.tail is None:
            return
        host = folder / FOLDER
        host.mkdir(exist_ok=True)
        if self.head is not None:
            onnx.save(self.head.file, str(host / HEAD))
        if self.tail is not None and self.output is not None:
            onnx.save(self.tail.file, str(host / TAIL))
            np.savez(host / OUTPUT, **vars(self.output))


def divide(model: onnx.ModelProto, code: InputCode | None, top_k: int = 1) -> Division:
    """Divide a network so that as much of it as can be is hardware.

    Args:
        model: QONNX, cleaned, with shapes on its tensors.
        code: what the data's integers mean, which the accelerator takes where no head is needed;
            None: the data are real values.
        top_k: classes that the accelerator gives where it chooses them.

    Raises:
        HwflowError: an operation between quantized layers can't be lowered, or one of these can't;
            names it, why, and the remedy.
    """
    return _Divider(model, code, top_k).divide()


class _Divider:
    """Moves the borders of the accelerator until what is between them can be lowered."""

    def __init__(self, model: onnx.ModelProto, code: InputCode | None, top_k: int) -> None:
        self.model, self.code, self.top_k = model, code, top_k
        self.network = Activations(model)
        self.order = self.network.order
        nodes = self.network.nodes
        self.quantizers = {i for i, node in enumerate(nodes) if operation_of(node).rounds}
        self.begin = self.order.begin(INPUT, self.quantizers) if code is None else None
        self.end: int | None = None
        self.before: HwflowError | None = None  # why there is more before it than a quantizer
        self.behind: HwflowError | None = None  # why there is a tail

    def divide(self) -> Division:
        """The division."""
        while True:
            network = self._network()
            try:
                return self._lowered(network)
            except NotLoweredError as error:
                self._move(error)

    def _lowered(self, network: onnx.ModelProto) -> Division:
        self._check_known()
        code = self.code if self.begin is None else None
        reference = Reference(network)
        nodes = [(node.name, node.op_type) for node in self.network.nodes]
        head = tail = output = None
        if self.end is None:
            graph, quantizers = to_integers(reference, code, self.top_k)
        else:
            graph, quantizers, output = to_output_integers(reference, code)
            shape = tuple(graph.get_tensor_shape(graph.graph.output[0].name))
            file = tail_file(self.network, self.end, shape, output)
            tail = Part(file, nodes[self.end + 1 :], _why(self.behind))
        if self.begin is not None:
            shape = tuple(graph.get_tensor_shape(graph.graph.input[0].name))
            before = nodes[: self.begin + 1]
            head = Part(head_file(self.network, self.begin, shape), before, _why(self.before))
        return Division(network, graph, quantizers, head, tail, output)

    @property
    def _numbers(self) -> range:
        """Of the operations that the accelerator computes, and the quantizer before them."""
        last = len(self.network.nodes) - 1 if self.end is None else self.end
        return range(self.begin or 0, last + 1)

    def _check_known(self) -> None:
        """Refuse what not even the reference knows.

        Raises:
            NotLoweredError: names it.
        """
        for number in self._numbers:
            node = self.network.nodes[number]
            if operation_of(node).evaluate is None:
                error = HwflowError(
                    f"{node.name}: {node.op_type} can't be lowered",
                    hint="let it be one of " + ", ".join(supported()),
                )
                raise NotLoweredError(error, node.output[0])

    # ------------------------------------------------------------------------------ borders

    def _move(self, error: NotLoweredError) -> None:
        """Leave the operation that was refused to the host.

        Raises:
            HwflowError: it can't be left to the host.
        """
        nodes = self.network.nodes
        if error.tensor is None:  # The end: what the accelerator would put out.
            refused = len(nodes) if self.end is None else self.end
        else:
            refused = self.network.number(error.tensor)
            if refused in self.order.products or not self.order.products:
                raise error
        behind = refused == len(nodes) or refused == self.end
        position = Place.BEHIND if behind else self.order.place(refused)
        if position is Place.BEFORE:
            self.before = self.before or error
            self.begin = self._begin(error, refused)
        elif position is Place.BEHIND:
            self.behind = self.behind or error
            self.end = self._end(refused)
        else:
            raise self._inside(error, nodes[refused], position)

    def _begin(self, error: HwflowError, refused: int) -> int:
        begin = self.order.begin(refused, self.quantizers)
        if begin is None:
            first = self.network.nodes[min(self.order.products)]
            raise HwflowError(
                f"{error.message}; nor can the host run it: between it and the first quantized"
                f" layer, {first.name}, stands no quantizer through which everything goes",
                hint=f"put a quantizer in front of {first.name}; or {error.hint}",
            ) from error
        return begin

    def _end(self, refused: int) -> int:
        end = self.order.end(refused)
        if end is None:
            assert self.behind is not None
            raise HwflowError(
                f"{self.behind.message}; nor can the host run it: more than one value leads from"
                " the quantized layers to it",
                hint=self.behind.hint,
            ) from self.behind
        return end

    def _inside(self, error: HwflowError, node: onnx.NodeProto, position: Place) -> HwflowError:
        where = (
            "between quantized layers" if position is Place.BETWEEN else "beside quantized layers"
        )
        return HwflowError(
            f"{error.message} ({node.op_type} {where}; the host runs only what lies before the"
            " first or behind the last of them)",
            hint=error.hint,
        )

    # ------------------------------------------------------------------------- the accelerator's

    def _network(self) -> onnx.ModelProto:
        """What lies between the borders, as a network of its own."""
        if self.begin is None and self.end is None:
            return self.model
        numbers = self._numbers
        nodes = [self.network.nodes[number] for number in numbers]
        constants = [n for node in nodes for n in node.input if n in self.network.constants]
        constant_nodes = self.network.constant_nodes(constants)
        used = {name for node in (*constant_nodes, *nodes) for name in node.input}
        graph = self.model.graph
        source = graph.input[0] if self.begin is None else self._value(nodes[0].input[0])
        output = graph.output[0] if self.end is None else self._value(nodes[-1].output[0])
        if self.begin is not None:
            nodes[0] = _rounding(nodes[0])
        made_graph = helper.make_graph(
            [*constant_nodes, *nodes],
            "accelerator",
            [source],
            [output],
            initializer=[t for t in graph.initializer if t.name in used],
            value_info=[v for v in graph.value_info if v.name in used - {source.name, output.name}],
        )
        network = helper.make_model(made_graph, opset_imports=self.model.opset_import)
        network.ir_version = self.model.ir_version
        return network

    def _value(self, name: str) -> onnx.ValueInfoProto:
        graph = self.model.graph
        return next(v for v in (*graph.value_info, *graph.input, *graph.output) if v.name == name)


def _why(error: HwflowError | None) -> str | None:
    return None if error is None else error.message


def _rounding(quantizer: onnx.NodeProto) -> onnx.NodeProto:
    """A quantizer that gives back codes that come in as real values: whatever it rounds down or up,
    it must not do so with what is a code but for the last bit."""
    proto = onnx.NodeProto()
    proto.CopyFrom(quantizer)
    for attribute in proto.attribute:
        if attribute.name == "rounding_mode":
            attribute.s = b"ROUND"
    return proto
