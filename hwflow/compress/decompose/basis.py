"""Singular values and left singular vectors of a matrix, no more of them than are asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any, TypeVar

import scipy.linalg
import torch

from hwflow.compress.decompose import lapack
from hwflow.compress.decompose.lapack import Array

# Above this share of all vectors, computing all of them is faster than computing some.
FEW = 0.25

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
    """Eigenvalues and eigenvectors of the smaller Gram matrix of a matrix.

    They take a fraction of the time of the matrix' own singular value decomposition, and some of
    them a fraction of that: the Gram matrix is made tridiagonal once, for values and vectors.

    Args:
        matrix: (n, m) float64, row or column major.
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix
        self.count = min(matrix.shape)

    @Once
    def _gram(self) -> Array:
        """Lower triangle of the Gram matrix, column major."""
        rows, columns = self.matrix.shape
        return lapack.gram((self.matrix if rows <= columns else self.matrix.T).numpy())

    @Once
    def _tridiagonal(self) -> lapack.Tridiagonal:
        return lapack.Tridiagonal(self._gram)

    @Once
    def values(self) -> torch.Tensor:
        """(min(n, m),) singular values, greatest first; below 1e-8 of that they are noise."""
        squares = self._tridiagonal.values()
        return torch.from_numpy(squares[::-1].copy()).clamp(min=0).sqrt()

    def vectors(self, count: int) -> torch.Tensor:
        """(min(n, m), count) eigenvectors, those of the greatest values first."""
        if count > FEW * self.count:
            return self._all_vectors[:, :count]
        return torch.from_numpy(self._tridiagonal.vectors(count)[:, ::-1].copy())

    @Once
    def _all_vectors(self) -> torch.Tensor:
        options: dict[str, Any] = {"lower": True, "check_finite": False, "driver": "evd"}
        _, vectors = scipy.linalg.eigh(self._gram, **options)
        return torch.from_numpy(vectors[:, ::-1].copy())


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
        return torch.linalg.qr(image, mode=mode).Q[:, :count]
