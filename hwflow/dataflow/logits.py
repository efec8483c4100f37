"""The end of a classifier: the classes of the greatest logits, chosen among integers.

A logit is a scale times an integer accumulator, plus a bias. Accumulators can be compared instead:
where scales differ between classes by whole factors, each is multiplied by its factor; of a bias
that is no whole number of accumulator steps, the whole part is added, and what is left decides
between classes that are then equal. That is written into bits below the accumulator's last: the
place of the class when they are ordered by what is left. No order of logits changes by it, and of
equal logits the class of the lowest number comes first, as in `exchange.reference.Trace.classes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwflow.dataflow import layers
from hwflow.dataflow.graph import PARAMETER_BITS, HardwareGraph, Integers
from hwflow.dataflow.wires import Wire, falling, negated
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Float
from hwflow.kernels.integer_types import integer_type

# Float32 rounds the scales of classes apart by less than this.
SAME_SLOPE = 1e-6
# What float64 leaves of numbers that are equal.
SAME_REST = 1e-9
# Factors between the scales of classes, at most.
MOST = 2**8


@dataclass(frozen=True)
class Keys:
    """Integers that are ordered as logits are: factor * accumulator + bias.

    Attributes:
        factors: (classes,) positive.
        biases: (classes,) the least is 0.
    """

    factors: Integers
    biases: Integers


def comparable(slope: Float, zero: Float) -> Keys:
    """Keys of the logits `slope * accumulator + zero`.

    Args:
        slope: (classes,) positive.
        zero: (classes,).

    Raises:
        HwflowError: slopes differ by no whole factors.
    """
    factors = slope / slope.min()
    whole = np.rint(factors)
    if np.any(np.abs(factors - whole) > SAME_SLOPE * factors) or whole.max() > MOST:
        raise HwflowError(
            "the last layer's scale differs between classes (or no linear layer ends the network),"
            " so integers can't be compared",
            hint="scale the last layer's weights per tensor",
        )
    unit = float(np.median(slope / whole))
    shift = (zero - zero[0]) / unit
    nearest = np.rint(shift)
    same = np.abs(shift - nearest) <= SAME_REST * np.maximum(1, np.abs(nearest))
    steps = np.where(same, nearest, np.floor(shift))
    places = _places(np.where(same, 0.0, shift - steps))
    below = int(places.max()).bit_length()
    biases = steps.astype(np.int64) * 2**below + places
    return Keys(whole.astype(np.int64) * 2**below, biases - biases.min())


def _places(rests: Float) -> Integers:
    """(classes,) the place of each in ascending order; equal ones share theirs."""
    order = np.argsort(rests, kind="stable")
    places = np.empty(len(rests), np.int64)
    places[order] = np.cumsum(np.diff(rests[order], prepend=rests[order[0]]) > SAME_REST)
    return places


def reachable(biases: Integers, span: int) -> Integers:
    """Smaller biases that order numbers as these do: one that is out of all others' reach is next
    to it.

    Args:
        biases: (classes,) the least is 0.
        span: that the numbers which they are added to differ by, at most.
    """
    order = np.argsort(biases, kind="stable")
    gaps = np.minimum(np.diff(biases[order], prepend=0), span + 1)
    closer = np.empty_like(biases)
    closer[order] = np.cumsum(gaps)
    return closer


def select_labels(graph: HardwareGraph, wire: Wire, count: int) -> None:
    """The classes of the greatest logits in order, from integers.

    Args:
        graph: ends with the layers that this adds.
        wire: the logits.
        count: of classes.

    Raises:
        HwflowError: the logits can't be compared as integers, for their scales differ, or there
            are fewer than `count`.
    """
    if len(wire.shape) != 1 or wire.order is not None:
        raise HwflowError(
            f"the network ends with {wire.shape}, not with one number a class",
            hint="end with a linear layer, or with Flatten behind a global average",
        )
    if count > wire.shape[0]:
        raise HwflowError(
            f"the {count} greatest of {wire.shape[0]} logits are wanted",
            hint=f"set hardware.top_k to {wire.shape[0]} or less",
        )
    wire = negated(graph, wire, falling(wire))
    zero = wire.reals(np.zeros_like(wire.low)[None])[0]
    slope = wire.reals(np.ones_like(wire.low)[None])[0] - zero
    _check_affine(wire, zero, slope)
    if np.any(slope <= 0):
        raise HwflowError(
            "the last layer has a class whose logit does not depend on its weights",
            hint="give every class a scale other than 0",
        )
    keys = comparable(slope, zero)
    low, high = int((wire.low * keys.factors).min()), int((wire.high * keys.factors).max())
    biases = reachable(keys.biases, high - low)
    tensor = wire.name
    if np.any(keys.factors != 1):
        reach = max(-low, high) + int(biases.max())
        if reach >= 2**PARAMETER_BITS:
            raise HwflowError(
                f"the last layer's logits take more than {PARAMETER_BITS} bits to be compared",
                hint="quantize the last bias in accumulator units, or leave it out",
            )
        kind = integer_type(low, high)
        tensor = layers.by_channel(
            graph, "ElementwiseMul", tensor, keys.factors, kind, name="label_scale"
        )
    layers.label_select(graph, tensor, biases if biases.any() else None, count, name="label")


def _check_affine(wire: Wire, zero: Float, slope: Float) -> None:
    ends = np.stack([wire.low, wire.high])
    line = zero + slope * ends
    if not np.allclose(wire.reals(ends), line, rtol=1e-9, atol=1e-9 * np.abs(line).max()):
        raise HwflowError(
            f"after the last linear layer, {', '.join(wire.nodes)} is not a scale and a bias",
            hint="end the network with a linear layer",
        )
