"""Sums over images as the emulator computes them."""

from __future__ import annotations

import torch

from hwflow.kernels.arithmetic import container


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
