"""What a data set is: three disjoint splits, and what its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Encoding:
    """What integer inputs mean: real value = scale * code + offset, codes in [minimum, maximum]."""

    scale: float
    offset: float
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Split:
    """Samples: inputs (N, *shape), uint8 codes or float32 values; labels (N,) int64."""

    inputs: NDArray[Any]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, end: int) -> Split:
        """Some of the samples, in their order."""
        return Split(self.inputs[start:end], self.labels[start:end])


@dataclass(frozen=True)
class Dataset:
    """A classification data set.

    Attributes:
        shape: of one sample, (C, H, W) or (features,).
        encoding: of integer inputs; None where inputs are real values.
        labelled: whether the labels mean something; else they are all -1.
    """

    name: str
    classes: int
    shape: tuple[int, ...]
    train: Split
    validation: Split
    test: Split
    encoding: Encoding | None
    labelled: bool = True

    def floats(self, split: Split, dtype: type[np.floating] = np.float32) -> NDArray[Any]:
        """The real values that the network sees, (N, *shape).

        The encoding's numbers are float32, as in the exported network, whatever the precision
        that the product is taken in.
        """
        if self.encoding is None:
            return split.inputs.astype(dtype)
        scale, offset = np.float32(self.encoding.scale), np.float32(self.encoding.offset)
        values: NDArray[Any] = split.inputs.astype(dtype) * dtype(scale) + dtype(offset)
        return values
