"""Exact integer thresholds of a quantized activation.

Between an integer accumulator and the next quantizer lies a chain of elementwise real-valued
operations (scales, bias, batch norm, activation). Seen from the accumulator it is a step function
from integers to integers, one for each channel, and monotone; hardware evaluates it by comparing
the accumulator with one threshold a step (Umuroglu et al. 2017, section 4.2.2). The thresholds
are found by bisecting the software's own float64 function over the integers that the accumulator
can take, so that they reproduce it at every one of them: rounding, ties and all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
StepFunction = Callable[[Integers], Integers]


@dataclass(frozen=True)
class Steps:
    """A monotone step function as thresholds.

    Attributes:
        thresholds: (C, K) ascending; the output is `base` + the number of thresholds that are
            less than or equal to the (perhaps negated) accumulator.
        base: output when no threshold is reached.
        negate: (C,) whether the channel's accumulator enters negated (a falling function).
    """

    thresholds: Integers
    base: int
    negate: NDArray[np.bool_]


def step_thresholds(
    function: StepFunction, low: Integers, high: Integers, codes: tuple[int, int]
) -> Steps:
    """Thresholds that reproduce `function` at every integer.

    Args:
        function: maps accumulators (N, C) to output codes (N, C); monotone in each channel,
            rising or falling.
        low, high: (C,) least and greatest accumulator of each channel.
        codes: least and greatest output code; the steps between them are all represented.

    Returns:
        Steps with K = codes[1] - codes[0] thresholds a channel. A step that the channel never
        takes has a threshold beyond the accumulator's range, a step always taken one at its start.
    """
    negate = function(high[None])[0] < function(low[None])[0]
    sign = np.where(negate, -1, 1)
    start = np.where(negate, -high, low)
    end = np.where(negate, -low, high)
    wanted = np.arange(codes[0] + 1, codes[1] + 1)[:, None]  # (K, 1): the k-th step reaches this
    below = np.broadcast_to(start - 1, (len(wanted), len(low))).copy()  # here not yet reached
    above = np.broadcast_to(end + 1, below.shape).copy()  # here reached, or past the end
    while np.any(above - below > 1):
        middle = (above + below) // 2
        inside = np.clip(middle, start, end)
        reached = (function(sign * inside) >= wanted) & (middle >= start) | (middle > end)
        above = np.where(reached, middle, above)
        below = np.where(reached, below, middle)
    return Steps(above.T.copy(), codes[0], negate)
