"""Where branches meet: sums and concatenations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnx

from hwflow.dataflow import layers
from hwflow.dataflow.graph import HardwareGraph, Integers
from hwflow.dataflow.rules.rule import Rule
from hwflow.dataflow.windows import attributes_of
from hwflow.dataflow.wires import Wire, channel_grid
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Quantized, Reference, Value, evaluate
from hwflow.kernels.integer_types import integer_type


def addition(
    graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wires: Sequence[Wire]
) -> Wire:
    """The sum of two branches whose codes have one scale.

    Raises:
        HwflowError: the branches differ in scale, shape, or are not quantized.
    """
    first, second = wires
    if first.shape != second.shape or first.is_image != second.is_image:
        raise HwflowError(
            f"{node.name}: adds {first.shape} and {second.shape}",
            hint="let both branches have one shape",
        )
    total = evaluate(node, [first.function(_grid(first)), second.function(_grid(second))])
    pure = all(_is_plain(wire) for wire in wires)
    if not isinstance(total, Quantized) or not pure:
        raise HwflowError(
            f"{node.name}: adds values that are not quantized, or in different scales",
            hint="let both go through one and the same QuantIdentity before they are added",
        )
    _same_order(node, wires)
    low, high = first.low + second.low, first.high + second.high
    name = layers.sum_of(
        graph,
        first.name,
        second.name,
        integer_type(int(low.min()), int(high.max())),
        name=node.name,
    )
    scale, bounds = total.scale, (int(low.min()), int(high.max()))
    return Wire(
        name,
        first.shape,
        first.grid,
        low,
        high,
        lambda n: Quantized(n.astype(np.float64), scale, *bounds),
        order=first.order,
    )


def _grid(wire: Wire) -> Integers:
    return wire.low.reshape(1, *wire.grid)


def _is_plain(wire: Wire) -> bool:
    """Whether the integers are the codes of the value, whatever their scale."""
    ends = np.stack([wire.low, wire.high])
    value = wire.at(ends)
    return isinstance(value, Quantized) and np.array_equal(value.codes, ends)


def _same_order(node: onnx.NodeProto, wires: Sequence[Wire]) -> None:
    orders = [np.arange(len(w.low)) if w.order is None else w.order for w in wires]
    if any(not np.array_equal(order, orders[0]) for order in orders):
        raise HwflowError(
            f"{node.name}: joins a flattened image with other numbers",
            hint="join the images before Flatten",
        )


def concatenation(
    graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wires: Sequence[Wire]
) -> Wire:
    """Channels of several branches side by side, in whatever scales they are.

    Raises:
        HwflowError: it is along another axis, or images differ in size.
    """
    axis = int(attributes_of(node).get("axis", 1)) % (1 + len(wires[0].shape))
    sizes = {wire.shape[1:] for wire in wires}
    if axis != 1 or len(sizes) != 1 or len({wire.is_image for wire in wires}) != 1:
        raise HwflowError(
            f"{node.name}: concatenates {', '.join(str(wire.shape) for wire in wires)} along axis"
            f" {axis}",
            hint="concatenate the channels of images of one size",
        )
    counts = [wire.shape[0] for wire in wires]
    shape = (sum(counts), *wires[0].shape[1:])
    image = wires[0].is_image
    grid = channel_grid(shape) if image else shape
    places = np.cumsum([0, *counts])

    def function(n: Integers) -> Value:
        parts: list[Any] = [
            wire.function(n[:, start:end])
            for wire, (start, end) in zip(wires, pairwise(places), strict=True)
        ]
        return evaluate(node, parts)

    ends = [np.stack([wire.low, wire.high]).reshape(2, *wire.grid) for wire in wires]
    whole = evaluate(node, [wire.function(end) for wire, end in zip(wires, ends, strict=True)])
    differ = all(wire.is_code for wire in wires) and not isinstance(whole, Quantized)
    orders = [np.arange(len(w.low)) if w.order is None else w.order for w in wires]
    order = np.concatenate([o + start for o, start in zip(orders, places[:-1], strict=True)])
    return Wire(
        layers.concat(graph, [wire.name for wire in wires], image=image, name=node.name),
        shape,
        grid,
        np.concatenate([wire.low for wire in wires]),
        np.concatenate([wire.high for wire in wires]),
        function,
        order=None if image or np.array_equal(order, np.arange(len(order))) else order,
        nodes=tuple(name for wire in wires for name in wire.nodes),
        mixed=node.name if differ else next((w.mixed for w in wires if w.mixed), None),
    )


RULES = (Rule("addition", join=addition), Rule("concatenation", join=concatenation))
