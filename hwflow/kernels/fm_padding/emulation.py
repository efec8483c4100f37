"""Zeros around an image as the emulator computes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


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
