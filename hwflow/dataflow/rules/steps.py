"""Quantizers: everything between integers and the next codes, as thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from qonnx.core.datatype import DataType

from hwflow.dataflow import layers
from hwflow.dataflow.graph import MOST_BITS, HardwareGraph, Integers
from hwflow.dataflow.rules.rule import Rule
from hwflow.dataflow.thresholds import step_thresholds
from hwflow.dataflow.wires import Wire, codes_of, negated
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Quantized, Reference, evaluate
from hwflow.kernels.integer_types import integer_type

# A quantizer whose input has a wider range than this is never one that changes nothing.
FEW = 2**9


def quantizer(graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire) -> Wire:
    """Codes of a quantizer: a layer of thresholds, unless the integers are its codes already.

    Raises:
        HwflowError: the scale differs between channels, or the codes have too many bits.
    """
    sample = _quantized(reference, node, wire, wire.low[None])
    if sample.scale.size != 1:
        raise HwflowError(
            f"{node.name}: an activation quantizer with one scale a channel can't be lowered",
            hint="scale activations per tensor",
        )
    function = codes_of(sample.scale.reshape(()), sample.minimum, sample.maximum, sample.bipolar)
    if _is_identity(reference, node, wire):
        return replace(wire, function=function, nodes=(), maker=None)
    bits = integer_type(sample.minimum, sample.maximum).bitwidth()
    if bits > MOST_BITS and node.op_type != "Trunc":
        raise HwflowError(
            f"{node.name}: an activation of {bits} bits can't be lowered",
            hint=f"use up to {MOST_BITS} bits",
        )
    codes = _codes(reference, node, wire)
    wire = negated(graph, wire, codes(wire.high[None])[0] < codes(wire.low[None])[0])
    codes = _codes(reference, node, wire)
    low, high = codes(np.stack([wire.low, wire.high]))
    if sample.bipolar:
        span = (0, 1)
        steps = step_thresholds(lambda n: (codes(n) + 1) // 2, wire.low, wire.high, span)
    else:
        span = _span(int(low.min()), int(high.max()))
        steps = step_thresholds(codes, wire.low, wire.high, span)
    datatype = DataType["BIPOLAR"] if sample.bipolar else integer_type(*span)
    name = _thresholding(graph, wire, steps.thresholds, datatype, steps.base, node.name)
    return replace(
        wire,
        name=name,
        low=low,
        high=high,
        function=function,
        maker=None,
        shared=False,
        nodes=(),
        bipolar=sample.bipolar,
        mixed=None,
    )


def _quantized(
    reference: Reference, node: onnx.NodeProto, wire: Wire, integers: Integers
) -> Quantized:
    grid = integers.reshape(len(integers), *wire.grid)
    value = evaluate(node, reference.operands(node, {node.input[0]: wire.function(grid)}))
    assert isinstance(value, Quantized)
    if value.codes.shape != grid.shape:
        raise HwflowError(
            f"{node.name}: what it does depends on the place in the image",
            hint="scale, shift and normalise by channel",
        )
    return value


def _codes(
    reference: Reference, node: onnx.NodeProto, wire: Wire
) -> Callable[[Integers], Integers]:
    """Integers (N, C) to the quantizer's codes (N, C)."""
    return lambda n: _quantized(reference, node, wire, n).codes.reshape(len(n), -1).astype(np.int64)


def _span(low: int, high: int) -> tuple[int, int]:
    """The codes that a layer of thresholds makes: those that occur, and as many more as it takes
    for a step and for the two bits that multipliers want."""
    return (low, max(high, low + 1, 2)) if low >= 0 else (low, max(high, 1))


def _is_identity(reference: Reference, node: onnx.NodeProto, wire: Wire) -> bool:
    """Whether the codes that come out are the integers that go in, for every value."""
    low, high = int(wire.low.min()), int(wire.high.max())
    if wire.maker is not None or high - low > FEW or wire.bipolar:
        return False
    values = np.arange(low, high + 1)[:, None]
    grid = np.broadcast_to(values, (len(values), len(wire.low)))
    return bool(np.array_equal(_codes(reference, node, wire)(grid), grid))


def _thresholding(
    graph: HardwareGraph, wire: Wire, thresholds: Integers, datatype: Any, base: int, name: str
) -> str:
    """A layer of thresholds (C, K) or (F, K), of which it keeps as few as it can."""
    vectors, channels = wire.vectors, len(thresholds)
    if wire.order is not None:
        thresholds = thresholds[wire.order]
        height, width, channels = graph.shapes[wire.name][1:]
        by_pixel = thresholds.reshape(height * width, channels, -1)
        if np.all(by_pixel == by_pixel[:1]):
            vectors, thresholds = (1, height, width), by_pixel[0]
        else:
            channels = len(thresholds)
    if np.all(thresholds == thresholds[:1]):
        thresholds = thresholds[:1]
    return layers.thresholding(
        graph, wire.name, thresholds, datatype, base, vectors=vectors, channels=channels, name=name
    )


RULES = Rule("quantizer", lower=quantizer)
