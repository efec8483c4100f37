"""Pools as the emulator computes them."""

from __future__ import annotations

import torch

from hwflow.kernels.arithmetic import container
from hwflow.kernels.windows.emulation import SlidingWindows


class WindowPool:
    """Greatest, or sum, of each channel in each window of an image.

    Args:
        windows: that slide over the image; None: windows come as they are, (N, H, W, kh kw C).
        function: MaxPool or AccPool.
        taps: of a window.
        bound: greatest absolute output.
    """

    def __init__(
        self, windows: SlidingWindows | None, function: str, taps: int, bound: int
    ) -> None:
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
