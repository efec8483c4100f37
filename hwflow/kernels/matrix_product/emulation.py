"""Products of vectors and a matrix as the emulator computes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hwflow.kernels.arithmetic import Integers, container


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
