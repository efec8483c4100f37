"""Singular values and left singular vectors of a matrix, no more of them than are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from scipy.linalg import lapack

Array = NDArray[np.float64]
# Above this share of all vectors, computing all of them is faster than computing some.
FEW = 0.25


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

    @cached_property
    def _gram(self) -> Array:
        """Lower triangle of the Gram matrix, column major."""
        rows, columns = self.matrix.shape
        array = (self.matrix if rows <= columns else self.matrix.T).numpy()
        if array.flags.c_contiguous:
            return scipy.linalg.blas.dsyrk(1.0, array.T, trans=1, lower=1)
        return scipy.linalg.blas.dsyrk(1.0, array, lower=1)

    @cached_property
    def _tridiagonal(self) -> tuple[Array, Array, Array, Array]:
        """Reflectors of the reduction, diagonal, the one beside it, sizes of the reflectors."""
        work, _ = lapack.dsytrd_lwork(self.count, lower=1)
        reduced, diagonal, beside, sizes, _ = lapack.dsytrd(self._gram, lower=1, lwork=int(work))
        return reduced, diagonal, beside, sizes

    @cached_property
    def values(self) -> torch.Tensor:
        """(min(n, m),) singular values, greatest first; below 1e-8 of that they are noise."""
        _, diagonal, beside, _ = self._tridiagonal
        squares = scipy.linalg.eigvalsh_tridiagonal(diagonal, beside, lapack_driver="sterf")
        return torch.from_numpy(squares[::-1].copy()).clamp(min=0).sqrt()

    def vectors(self, count: int) -> torch.Tensor:
        """(min(n, m), count) eigenvectors, those of the greatest values first."""
        if count > FEW * self.count or self.count < 3:
            return self._all_vectors[:, :count]
        reduced, diagonal, beside, sizes = self._tridiagonal
        _, vectors = scipy.linalg.eigh_tridiagonal(
            diagonal,
            beside,
            select="i",
            select_range=(self.count - count, self.count - 1),
            lapack_driver="stemr",
        )
        reflectors, below = np.asfortranarray(reduced[1:, :-1]), np.asfortranarray(vectors[1:])
        block = 64 * max(count, 1)
        vectors[1:], _, _ = lapack.dormqr("L", "N", reflectors, sizes, below, block)
        return torch.from_numpy(vectors[:, ::-1].copy())

    @cached_property
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

    @cached_property
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
