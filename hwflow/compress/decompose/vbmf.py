"""Rank of a noisy matrix by empirical variational Bayesian matrix factorisation.

S. Nakajima, M. Sugiyama, S. D. Babacan, R. Tomioka: Global analytic solution of fully-observed
variational Bayesian matrix factorization, JMLR 14 (2013): the empirical solution, with its noise
variance estimated. The bounds of that variance: S. Nakajima, R. Tomioka, M. Sugiyama,
S. D. Babacan: Condition for perfect dimensionality recovery by variational Bayesian PCA, JMLR 16
(2015).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

# Places at which the free energy, which may have several minima, is looked at first.
GRID = 40
# Noise below this share of the greatest singular value is that of float32 weights.
FLOAT32 = 2.0**-23


def vbmf_rank(singular: torch.Tensor, rows: int, columns: int) -> int:
    """How many components of a matrix stand out from independent Gaussian noise.

    Args:
        singular: (min(rows, columns),) singular values, greatest first.
        rows, columns: of the matrix.

    Returns:
        The rank; 0 where all of the matrix may be noise.
    """
    short, long = sorted((rows, columns))
    squares = singular.double().numpy() ** 2
    if squares[0] == 0:
        return 0
    edge = _detectable(short / long)
    variance = _noise_variance(squares, short, long, edge)
    return int((squares > long * variance * edge).sum())


@cache
def _detectable(alpha: float) -> float:
    """The x = s^2 / (long sigma^2) from which on a component is kept, by the ratio of the sides."""

    def phi(z: float) -> float:
        return math.log1p(z) / z - 0.5

    tau: float = brentq(lambda t: phi(t) + phi(t / alpha), 1e-6, 10.0)
    return (1 + tau) * (1 + alpha / tau)


def _noise_variance(squares: NDArray[np.float64], short: int, long: int, edge: float) -> float:
    """The variance of least free energy, between the bounds that it is known to lie in."""
    alpha = short / long
    most = min(math.ceil(short / (1 + alpha)) - 1, short - 1)
    upper = float(squares.sum()) / (short * long)
    lower = max(
        float(squares[most]) / (long * edge),
        float(squares[most:].mean()) / long,
    )
    lower = min(max(lower, float(squares[0]) * FLOAT32**2 / long), upper)

    def energy(log_variance: float) -> float:
        return _free_energy(squares / (long * math.exp(log_variance)), alpha, edge)

    grid = np.linspace(math.log(lower), math.log(upper), GRID)
    best = int(np.argmin([energy(point) for point in grid]))
    around = grid[max(best - 1, 0)], grid[min(best + 1, GRID - 1)]
    if around[0] == around[1]:
        return upper
    minimum = minimize_scalar(energy, bounds=around, method="bounded", options={"xatol": 1e-7})
    return math.exp(minimum.x if minimum.fun <= energy(grid[best]) else grid[best])


def _free_energy(x: NDArray[np.float64], alpha: float, edge: float) -> float:
    """Free energy at normalised squares x = s^2 / (long sigma^2), descending, up to a constant."""
    count = int(np.searchsorted(-x, -edge))
    signal, noise = x[:count], np.maximum(x[count:], np.finfo(np.float64).tiny)
    middle = signal - (1 + alpha)
    tau = (middle + np.sqrt(middle**2 - 4 * alpha)) / 2
    parts = (
        noise - np.log(noise),
        signal - tau + np.log((tau + 1) / signal) + alpha * np.log(tau / alpha + 1),
    )
    return float(sum(part.sum() for part in parts))
