"""What each hardware layer computes, on batches of integers and exactly.

Integers travel in float tensors, because products are fastest there. That is exact as long as no
sum exceeds the float's integers: 2^24 in float32, 2^53 in float64. Each layer knows the range of
what it puts out; a product chooses the narrowest container that holds the sum of all magnitudes,
which bounds every partial sum too, in whatever order a library adds them.

Images are channels last, (N, H, W, C), as in hardware; vectors are (N, F).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from hwflow.errors import HwflowError

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
EXACT = {torch.float32: 2**24, torch.float64: 2**53}
# Up to this many numbers a step function may be a table.
TABLE = 2**22
# Up to this many thresholds, comparing with each is faster than searching.
FEW_STEPS = 15
# Steps of a search that divides a range by 1.5 each time.
SEARCH = 100


class Layer(Protocol):
    """A layer: integers in float tensors to integers."""

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Compute a batch."""
        ...


def container(bound: int) -> torch.dtype:
    """The narrowest float type that holds integers up to a bound.

    Raises:
        HwflowError: there is none.
    """
    for kind, limit in EXACT.items():
        if bound < limit:
            return kind
    raise HwflowError(f"an accumulator of up to {bound} exceeds 53 bits", hint="use fewer bits")


class Linear:
    """Vectors times an integer matrix.

    Args:
        weights: (MW, MH).
        magnitude: greatest absolute input.
        vectors: pixels (H, W) whose channels are multiplied; (): all that a frame has.

    Raises:
        HwflowError: a sum could exceed 53 bits.
    """

    def __init__(self, weights: Integers, magnitude: int, vectors: Sequence[int] = ()) -> None:
        self.kind = container(int(np.abs(weights).sum(axis=0).max()) * magnitude)
        self.weights = torch.as_tensor(weights, dtype=self.kind)
        self.vectors = tuple(vectors)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, [H, W,] MW) to (N, [H, W,] MH)."""
        frames = inputs[0].to(self.kind).reshape(len(inputs[0]), *self.vectors, -1)
        return frames @ self.weights


class Convolution:
    """Windows of an image times integer weights.

    Args:
        weights: (O, I, kh, kw).
        magnitude: greatest absolute input.
        strides, dilations: height, width.
        groups: 1, or the channels.

    Raises:
        HwflowError: a sum could exceed 53 bits.
    """

    def __init__(
        self,
        weights: Integers,
        magnitude: int,
        strides: Sequence[int],
        dilations: Sequence[int],
        groups: int,
    ) -> None:
        rows = np.abs(weights).reshape(len(weights), -1).sum(axis=1)
        self.kind = container(int(rows.max()) * magnitude)
        if weights.shape[1] * groups == 1:
            # oneDNN's float32 convolution of one channel is wrong for some widths and strides.
            self.kind = torch.float64
        stored = torch.as_tensor(weights, dtype=self.kind)
        self.weights = stored.contiguous(memory_format=torch.channels_last)
        self.strides, self.dilations, self.groups = tuple(strides), tuple(dilations), groups

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, H, W, I) to (N, H', W', O)."""
        image = inputs[0].to(self.kind).permute(0, 3, 1, 2)
        # NNPACK would compute in Winograd's transform, which rounds.
        with torch.backends.nnpack.flags(enabled=False):
            sums = functional.conv2d(
                image,
                self.weights,
                stride=self.strides,
                dilation=self.dilations,
                groups=self.groups,
            )
        return sums.permute(0, 2, 3, 1)


class Padding:
    """Zeros around an image.

    Args:
        pads: rows above, columns left, rows below, columns right.
    """

    def __init__(self, pads: Sequence[int]) -> None:
        above, left, below, right = pads
        self.pads = (0, 0, left, right, above, below)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) to (N, H + ..., W + ..., C)."""
        return functional.pad(inputs[0], self.pads)


class Windows:
    """Every window of an image.

    Args:
        kernel, strides, dilations: height, width.
    """

    def __init__(
        self, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
    ) -> None:
        self.kernel, self.strides, self.dilations = tuple(kernel), strides, dilations

    def taps(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What each tap of the kernel sees, row by row: (N, H, W, C) to (N, H', W', C) each."""
        steps, spread = self.strides, self.dilations
        sizes = [
            (length - s * (k - 1) - 1) // step + 1
            for length, k, step, s in zip(image.shape[1:3], self.kernel, steps, spread, strict=True)
        ]
        ends = [(size - 1) * step + 1 for size, step in zip(sizes, steps, strict=True)]
        return [
            image[
                :,
                row * spread[0] : row * spread[0] + ends[0] : steps[0],
                column * spread[1] : column * spread[1] + ends[1] : steps[1],
            ]
            for row in range(self.kernel[0])
            for column in range(self.kernel[1])
        ]

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) to (N, H', W', kh kw C)."""
        return torch.cat(self.taps(inputs[0]), dim=-1)


class WindowPool:
    """Greatest, or sum, of each channel in each window of an image.

    Args:
        windows: that slide over the image; None: windows come as they are, (N, H, W, kh kw C).
        function: MaxPool or AccPool.
        taps: of a window.
        bound: greatest absolute output.
    """

    def __init__(self, windows: Windows | None, function: str, taps: int, bound: int) -> None:
        self.windows, self.function, self.count = windows, function, taps
        self.kind = container(bound)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) to (N, H', W', C)."""
        frames = inputs[0]
        if self.windows is None:
            taps = list(frames.chunk(self.count, dim=-1))
        else:
            taps = self.windows.taps(frames)
        result = taps[0].to(self.kind, copy=True)
        for tap in taps[1:]:
            if self.function == "MaxPool":
                torch.maximum(result, tap, out=result)
            else:
                result += tap
        return result


class GlobalSum:
    """Sum of each channel over the image.

    Args:
        bound: greatest absolute output.
    """

    def __init__(self, bound: int) -> None:
        self.kind = container(bound)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) to (N, 1, 1, C)."""
        return inputs[0].to(self.kind).sum(dim=(1, 2), keepdim=True)


class Repeat:
    """Each pixel repeated.

    Args:
        factors: height, width.
    """

    def __init__(self, factors: Sequence[int]) -> None:
        self.factors = tuple(factors)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, H, W, C) to (N, H fh, W fw, C)."""
        rows = inputs[0].repeat_interleave(self.factors[0], dim=1)
        return rows.repeat_interleave(self.factors[1], dim=2)


class Sum:
    """Two tensors, or a tensor and a number for each channel, added or multiplied.

    Args:
        constant: (C,), or None for a second input.
        bound: greatest absolute input or output.
        multiply: instead of add.
    """

    def __init__(self, constant: Integers | None, bound: int, *, multiply: bool) -> None:
        self.kind = container(bound)
        self.constant = None if constant is None else torch.as_tensor(constant, dtype=self.kind)
        self.multiply = multiply

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, ..., C) to (N, ..., C)."""
        first = inputs[0].to(self.kind)
        if self.constant is not None:
            return first * self.constant if self.multiply else first + self.constant
        return first + inputs[1].to(self.kind).reshape(first.shape)


class Concatenation:
    """Channels of images, or numbers of vectors, side by side.

    Args:
        vectors: pixels (H, W) of images; () of vectors.
    """

    def __init__(self, vectors: Sequence[int]) -> None:
        self.vectors = tuple(vectors)

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, [H, W,] C) each to (N, [H, W,] sum of C)."""
        frames = len(inputs[0])
        kind = max((x.dtype for x in inputs), key=lambda dtype: dtype.itemsize)
        parts = [x.to(kind).reshape(frames, *self.vectors, -1) for x in inputs]
        return torch.cat(parts, dim=-1)


class Same:
    """What passes a layer unchanged."""

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The first input."""
        return inputs[0]


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
        found = torch.searchsorted(self.thresholds, sums.T.contiguous(), right=True)
        made = (found.T * self.factor + self.base).to(torch.float32)
        return made.reshape(inputs[0].shape)


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


class ArgMax:
    """Indices of the greatest numbers plus bias, in order; the lowest first among equals.

    Args:
        bias: (Labels,).
        labels: how many indices.
    """

    def __init__(self, bias: Integers, labels: int = 1) -> None:
        self.bias, self.labels = bias, labels

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """(N, ..., Labels) to (N, labels)."""
        numbers = inputs[0].numpy().reshape(len(inputs[0]), -1)
        sums = numbers.astype(np.int64) + self.bias
        order = np.argsort(-sums, axis=1, kind="stable")[:, : self.labels]
        return torch.as_tensor(order, dtype=torch.float32)
