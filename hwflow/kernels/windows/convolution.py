"""Products with windows that slide over an image, as the emulator computes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from hwflow.kernels.arithmetic import Integers, container


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
