"""The end of a classifier: the class of the greatest logit, chosen among integers."""

from __future__ import annotations

import numpy as np

from hwflow.dataflow.graph import HardwareGraph
from hwflow.dataflow.wires import Wire, negated
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Float

# A fold of the last bias into accumulator units may be off by float32 rounding, not by more.
BIAS_TOLERANCE = 1e-3
# Float32 rounds the scales of classes apart by less than this.
SAME_SLOPE = 1e-6


def select_label(graph: HardwareGraph, wire: Wire) -> None:
    """The class of the greatest logit, from integers: arg max (accumulator + bias).

    Args:
        graph: ends with the layer that this adds.
        wire: the logits.

    Raises:
        HwflowError: the logits can't be compared as integers, for the scale or a bias differs.
    """
    if len(wire.shape) != 1 or wire.order is not None:
        raise HwflowError(
            f"the network ends with {wire.shape}, not with one number a class",
            hint="end with a linear layer, or with Flatten behind a global average",
        )
    zero = wire.reals(np.zeros_like(wire.low)[None])[0]
    slope = wire.reals(np.ones_like(wire.low)[None])[0] - zero
    _check_affine(wire, zero, slope)
    unit = float(np.median(slope))
    if unit == 0 or np.any(np.abs(slope - unit) > SAME_SLOPE * abs(unit)):
        raise HwflowError(
            "the last layer's scale differs between classes (or no linear layer ends the network),"
            " so integers can't be compared",
            hint="scale the last layer's weights per tensor",
        )
    shift = (zero - zero[0]) / abs(unit)
    bias = np.rint(shift).astype(np.int64)
    if np.any(np.abs(shift - bias) > BIAS_TOLERANCE * np.maximum(1, np.abs(bias))):
        raise HwflowError(
            "the last layer's bias is no whole number of accumulator steps",
            hint="quantize the last bias in accumulator units, or leave it out",
        )
    if unit < 0:
        wire = negated(graph, wire, np.ones(len(wire.low), bool))
    bias -= bias.min()
    graph.label_select(wire.name, bias if bias.any() else None, name="label")


def _check_affine(wire: Wire, zero: Float, slope: Float) -> None:
    ends = np.stack([wire.low, wire.high])
    line = zero + slope * ends
    if not np.allclose(wire.reals(ends), line, rtol=1e-9, atol=1e-9 * np.abs(line).max()):
        raise HwflowError(
            f"after the last linear layer, {', '.join(wire.nodes)} is not a scale and a bias",
            hint="end the network with a linear layer",
        )
