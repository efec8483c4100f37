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
EXACT = {torch.float32: 2**24, torch.float64: 2**53}


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
