"""The windows of an image as the emulator computes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class SlidingWindows:
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
