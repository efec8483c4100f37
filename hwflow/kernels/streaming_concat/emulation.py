"""Concatenation as the emulator computes it."""

from __future__ import annotations

from collections.abc import Sequence

import torch


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
