"""Upsampling as the emulator computes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch


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
