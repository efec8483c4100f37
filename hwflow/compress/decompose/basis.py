"""Singular values and left singular vectors of a matrix, no more of them than are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

# Above this share of all vectors, computing all of them is faster than computing some.
FEW = 0.25


class Basis:
    """Of the columns of a matrix, by the smaller of its two Gram matrices.

    Eigenvectors of that take a fraction of the time of the matrix' own decomposition. In float64,
    singular values below 1e-8 of the greatest are noise.

    Args:
        matrix: (n, m) float64, row or column major.
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix

    @property
    def count(self) -> int:
        """Number of singular values, min(n, m)."""
        return min(self.matrix.shape)

    @cached_property
    def _gram(self) -> NDArray[np.float64]:
        """Upper triangle of the smaller Gram matrix."""
        rows, columns = self.matrix.shape
        array = (self.matrix if rows <= columns else self.matrix.T).numpy()
        if array.flags.c_contiguous:
            return scipy.linalg.blas.dsyrk(1.0, array.T, trans=1)
        return scipy.linalg.blas.dsyrk(1.0, array)

    @cached_property
    def values(self) -> torch.Tensor:
        """(min(n, m),) singular values, greatest first."""
        squares = _eigen(self._gram, eigvals_only=True, driver="evr")
        return torch.from_numpy(squares[::-1].copy()).clamp(min=0).sqrt()

    @cached_property
    def tails(self) -> torch.Tensor:
        """(min(n, m) + 1,): sums of the squares that are left after the first 0, 1, ... values."""
        squares = self.values**2
        return torch.cat([squares.flip(0).cumsum(0).flip(0), squares.new_zeros(1)])

    def first(self, count: int) -> torch.Tensor:
        """(n, count) left singular vectors, those of the greatest singular values first.

        Past the min(n, m)-th, any columns that complete them orthonormally.
        """
        vectors = self._eigenvectors(min(count, self.count))
        rows, columns = self.matrix.shape
        if rows <= columns:
            return vectors
        complete = count > columns
        image = self.matrix @ vectors
        return torch.linalg.qr(image, mode="complete" if complete else "reduced").Q[:, :count]

    def _eigenvectors(self, count: int) -> torch.Tensor:
        size = self.count
        if count > FEW * size:
            return self._all_eigenvectors[:, :count]
        _, vectors = _eigen(self._gram, subset_by_index=(size - count, size - 1), driver="evr")
        return torch.from_numpy(vectors[:, ::-1].copy())

    @cached_property
    def _all_eigenvectors(self) -> torch.Tensor:
        _, vectors = _eigen(self._gram, driver="evd")
        return torch.from_numpy(vectors[:, ::-1].copy())


def _eigen(gram: NDArray[np.float64], **options: Any) -> Any:
    return scipy.linalg.eigh(gram, lower=False, check_finite=False, **options)
