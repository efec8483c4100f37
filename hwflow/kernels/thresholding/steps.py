"""Step functions of the emulator: thresholds, compared, looked up in a table, or as a scale and an
offset, whichever is fastest and gives the very steps."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hwflow.kernels.arithmetic import EXACT, Integers

Reals = NDArray[np.float64]
# Up to this many numbers a step function may be a table.
TABLE = 2**22
# Up to this many thresholds, comparing with each is faster than searching.
FEW_STEPS = 15
# Steps of a search that divides a range by 1.5 each time.
SEARCH = 100


class Steps:
    """A step function for each channel.

    Args:
        thresholds: (C, K) ascending in each channel.
        magnitude: greatest absolute input or threshold.
        base, factor: the output is base + factor * steps.
    """

    def __init__(self, thresholds: Integers, magnitude: int, base: int, factor: int) -> None:
        self.kind = torch.float32 if magnitude < EXACT[torch.float32] else torch.float64
        self.few = thresholds.shape[1] <= FEW_STEPS
        columns = thresholds.T if self.few else thresholds
        self.thresholds = torch.as_tensor(columns.copy(), dtype=self.kind)
        self.channels, self.base, self.factor = len(thresholds), base, factor

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, ..., C) to (N, ..., C)."""
        sums = inputs[0].to(self.kind).reshape(-1, self.channels)
        if self.few:
            steps = torch.full(sums.shape, float(self.base), dtype=torch.float32)
            for threshold in self.thresholds:
                steps.add_(sums >= threshold, alpha=self.factor)
            return steps.reshape(inputs[0].shape)
        indices = torch.searchsorted(self.thresholds, sums.T.contiguous(), right=True)
        outputs = (indices.T * self.factor + self.base).to(torch.float32)
        return outputs.reshape(inputs[0].shape)


class EvenSteps:
    """A step function of steps of equal width: a scale, an offset and rounding down.

    Made by `even_steps`, which finds them such that floats give the very steps of the thresholds.

    Args:
        scale, offset: (C,) or (1,) in float32.
        count: number of thresholds.
        base, factor: the output is base + factor * steps.
    """

    def __init__(
        self, scale: torch.Tensor, offset: torch.Tensor, count: int, base: int, factor: int
    ) -> None:
        self.scale, self.offset, self.count = scale, offset, count
        self.base, self.factor = base, factor

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, ..., C) to (N, ..., C)."""
        numbers = inputs[0].to(torch.float32)
        steps = numbers.reshape(-1, len(self.scale)) * self.scale
        steps.add_(self.offset).floor_().clamp_(0, self.count)
        if self.factor != 1:
            steps.mul_(self.factor)
        if self.base:
            steps.add_(self.base)
        return steps.reshape(inputs[0].shape)


def even_steps(
    thresholds: Integers, low: Integers, high: Integers, base: int, factor: int
) -> EvenSteps | None:
    """The step function as a scale and an offset, where there are such.

    The k-th threshold t wants scale * t + offset >= k and scale * (t - 1) + offset < k. For a
    scale, offsets between two bounds do; how far these are apart is a concave function of the
    scale, whose greatest value is searched for. What is found is tried, in floats, at both sides
    of every threshold: floats are monotone, so it is right everywhere.

    Args:
        thresholds: (C, K), ascending.
        low, high: (C,) range of the inputs.
        base, factor: the output is base + factor * steps.

    Returns:
        None where the steps are not even enough, or integers have more than 24 bits.
    """
    if max(-low.min(), high.max()) >= EXACT[torch.float32]:
        return None
    steps = np.arange(1, thresholds.shape[1] + 1, dtype=np.float64)
    reached = np.maximum(thresholds, low[:, None])  # Here the step is to be taken,
    missed = np.minimum(thresholds - 1, high[:, None])  # and here it is not yet,
    is_reached, is_missed = thresholds <= high[:, None], thresholds > low[:, None]  # if ever.

    def bounds(scale: Reals) -> tuple[Reals, Reals]:
        least = np.where(is_reached, steps - scale[:, None] * reached, -np.inf).max(axis=1)
        most = np.where(is_missed, steps - scale[:, None] * missed, np.inf).min(axis=1)
        least = np.where(np.isfinite(least), least, most - 1)
        return least, np.where(np.isfinite(most), most, least + 1)

    start, end = np.zeros(len(thresholds)), np.full(len(thresholds), 2.0 * steps[-1])
    for _ in range(SEARCH):
        first, second = (2 * start + end) / 3, (start + 2 * end) / 3
        (a, b), (c, d) = bounds(first), bounds(second)
        right = b - a < d - c
        start, end = np.where(right, first, start), np.where(right, end, second)
    scale = (start + end) / 2
    least, most = bounds(scale)
    exact = [torch.as_tensor(v, dtype=torch.float32) for v in (scale, (least + most) / 2)]
    plain = EvenSteps(exact[0], exact[1], len(steps), 0, 1)
    above, below = (
        plain(torch.as_tensor(v.T.copy(), dtype=torch.float32)).numpy().T for v in (reached, missed)
    )
    if np.any((above < steps) & is_reached) or np.any((below >= steps) & is_missed):
        return None
    return EvenSteps(exact[0], exact[1], len(steps), base, factor)


class TableSteps:
    """A step function for each channel as a table over every input.

    Args:
        thresholds: (C, K) ascending in each channel.
        low, high: range of the inputs.
        base, factor: the output is base + factor * steps.
    """

    def __init__(self, thresholds: Integers, low: int, high: int, base: int, factor: int) -> None:
        inputs = np.arange(low, high + 1)
        rows = [np.searchsorted(row, inputs, side="right") for row in thresholds]
        values = (base + factor * np.stack(rows)).astype(np.float32)
        self.table = torch.from_numpy(values.reshape(-1))
        self.starts = torch.arange(len(thresholds), dtype=torch.int32) * len(inputs) - low

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, ..., C) to (N, ..., C)."""
        places = inputs[0].to(torch.int32).reshape(-1, len(self.starts)) + self.starts
        return self.table.index_select(0, places.reshape(-1)).reshape(inputs[0].shape)
