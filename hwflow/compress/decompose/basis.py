"""Singular values and left singular vectors of a matrix."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any, TypeVar

import torch

from hwflow.errors import HwflowError

Value = TypeVar("Value")


class Once(cached_property[Value]):
    """A cached_property without its lock.

    Before Python 3.12 that lock is one for all objects of a class: a layer's thread would wait
    until another's has made its Gram matrix.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        super().__init__(compute)
        self.lock = nullcontext()  # read by older Pythons only


class Spectrum:
    """Eigenvalues and eigenvectors of the smaller Gram matrix of a matrix: a fraction of the work
    of the matrix' own singular value decomposition.

    Args:
        matrix: (n, m) float64, row or column major.
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix
        self.count = min(matrix.shape)

    @Once
    def _eigen(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Eigenvalues, ascending, and eigenvectors, in columns.

        Raises:
            HwflowError: a square is not finite.
        """
        rows, columns = self.matrix.shape
        small = self.matrix if rows <= columns else self.matrix.T
        try:
            values, vectors = torch.linalg.eigh(small @ small.T)
        except RuntimeError as error:
            raise HwflowError(
                f"eigenvectors of a weight's Gram matrix can't be had: {error}",
                hint="weights may be too large for float64 squares; lower learning_rate before",
            ) from error
        return values, vectors

    @Once
    def values(self) -> torch.Tensor:
        """(min(n, m),) singular values, greatest first; below 1e-8 of that they are noise."""
        return self._eigen[0].flip(0).clamp(min=0).sqrt()

    def vectors(self, count: int) -> torch.Tensor:
        """(min(n, m), count) eigenvectors, those of the greatest values first."""
        return self._eigen[1].flip(1)[:, :count]


class Basis:
    """Left singular vectors of a matrix.

    Args:
        matrix: (n, m) float64, row or column major.
        spectrum: of it or of its transpose, which have the same; default: a new one.
    """

    def __init__(self, matrix: torch.Tensor, spectrum: Spectrum | None = None) -> None:
        self.matrix = matrix
        self.spectrum = Spectrum(matrix) if spectrum is None else spectrum
        self.count = self.spectrum.count

    @property
    def values(self) -> torch.Tensor:
        """(min(n, m),) singular values, greatest first."""
        return self.spectrum.values

    @Once
    def tails(self) -> torch.Tensor:
        """(min(n, m) + 1,): sums of the squares that are left after the first 0, 1, ... values."""
        squares = self.values**2
        return torch.cat([squares.flip(0).cumsum(0).flip(0), squares.new_zeros(1)])

    def first(self, count: int) -> torch.Tensor:
        """(n, count) left singular vectors, those of the greatest singular values first.

        Past the min(n, m)-th, any columns that complete them orthonormally.
        """
        vectors = self.spectrum.vectors(min(count, self.count))
        rows, columns = self.matrix.shape
        shared = self.spectrum.matrix is not self.matrix
        if rows < columns or (rows == columns and not shared):
            return vectors
        image = self.matrix @ vectors
        mode = "complete" if count > columns else "reduced"
        columns_of_q: torch.Tensor = torch.linalg.qr(image, mode=mode).Q
        return columns_of_q[:, :count]
