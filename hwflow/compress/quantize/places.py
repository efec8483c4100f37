"""Which calls of a quantized network the host can run: those before its first quantized layer, with
a quantizer between, and those behind its last."""

from __future__ import annotations

import operator
from typing import Any

from brevitas.nn.quant_layer import QuantNonLinearActLayer, QuantWeightBiasInputOutputLayer
from torch import fx

from hwflow.compress.quantize.tracing import called, module_of
from hwflow.graphs.bottlenecks import INPUT, Order, Place


class HostPlaces:
    """Where the calls of a network lie against its quantized layers.

    Args:
        traced: quantized network, as a graph.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        nodes = _activations(traced)
        self.numbers = {node: INPUT for node in nodes if node.op == "placeholder"}
        calls = [node for node in nodes if node.op != "placeholder"]
        self.numbers.update({node: number for number, node in enumerate(calls)})
        reads = tuple(
            tuple(self.numbers[n] for n in node.all_input_nodes if n in self.numbers)
            for node in calls
        )
        products = frozenset(n for n, node in enumerate(calls) if self._is_product(node))
        self.order = Order(reads, products)
        self.quantizers = {n for n, node in enumerate(calls) if self._quantizes(node)}

    def takes(self, node: fx.Node) -> bool:
        """Whether the host can run a call."""
        number, place = self._place(node)
        if place is Place.BEFORE:
            return self.order.begin(number, self.quantizers) is not None
        return place is Place.BEHIND and self.order.end(number) is not None

    def lacks_quantizer(self, node: fx.Node) -> bool:
        """Whether a call lies before all quantized layers, and the host can't run it only because
        no quantizer stands between."""
        number, place = self._place(node)
        return place is Place.BEFORE and self.order.begin(number, self.quantizers) is None

    def _place(self, node: fx.Node) -> tuple[int, Place]:
        """Number and place of a call; of what depends on no input, or leads to no output, that
        between quantized layers, where it may not stay."""
        number = self.numbers.get(node, INPUT)
        return number, Place.BETWEEN if number == INPUT else self.order.place(number)

    def _is_product(self, node: fx.Node) -> bool:
        module: Any = module_of(self.traced, node)
        is_layer = isinstance(module, QuantWeightBiasInputOutputLayer)
        return is_layer and module.weight_quant.is_quant_enabled

    def _quantizes(self, node: fx.Node) -> bool:
        """Whether a call quantizes activations, its input in the case of a layer."""
        module: Any = module_of(self.traced, node)
        if isinstance(module, QuantNonLinearActLayer):
            return bool(module.act_quant.is_quant_enabled)
        return self._is_product(node) and bool(module.input_quant.is_quant_enabled)


def _activations(traced: fx.GraphModule) -> list[fx.Node]:
    """The input and the calls that depend on its values and that the output depends on, in order of
    execution; sizes are no values."""
    dependent: set[fx.Node] = set()
    for node in traced.graph.nodes:
        from_input = any(n in dependent for n in node.all_input_nodes)
        if node.op == "placeholder" or (from_input and not _is_size(node)):
            dependent.add(node)
    wanted: set[fx.Node] = set()
    for node in reversed(traced.graph.nodes):
        if node.op == "output" or node in wanted:
            wanted.update(n for n in node.all_input_nodes if n in dependent)
    return [node for node in traced.graph.nodes if node in wanted]


def _is_size(node: fx.Node) -> bool:
    """Whether a call asks for the shape of a tensor."""
    if not called(node):
        return False
    if node.target is operator.getitem:
        return isinstance(node.args[0], fx.Node) and _is_size(node.args[0])
    return node.target == "size" or (node.target is getattr and node.args[1:2] == ("shape",))
