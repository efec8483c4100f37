"""Exact arithmetic on batches of integers, of which the emulation of each layer is made.

Integers travel in float tensors, because products are fastest there. That is exact as long as no
sum exceeds the float's integers: 2^24 in float32, 2^53 in float64. Each layer knows the range of
what it puts out; a product chooses the narrowest container that holds the sum of all magnitudes,
which bounds every partial sum too, in whatever order a library adds them.

Images are channels last, (N, H, W, C), as in hardware; vectors are (N, F).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

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


class Same:
    """What passes a layer unchanged."""

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The first input."""
        return inputs[0]


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
