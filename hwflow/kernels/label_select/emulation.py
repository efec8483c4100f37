"""The greatest numbers as the emulator finds them."""

from __future__ import annotations

import numpy as np
import torch

from hwflow.kernels.arithmetic import Integers


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
