"""Truncated singular value decomposition of a matrix (Eckart and Young 1936)."""

from __future__ import annotations

from hwflow.compress.decompose.factors import Factors
from hwflow.compress.decompose.kernel import Kernel


def svd(kernel: Kernel, rank: int) -> Factors:
    """Two matrices whose product is the nearest of that rank.

    Args:
        kernel: a weight with one tap.
        rank: at most min(outputs, inputs).
    """
    outer = kernel.outputs.first(rank)
    inner = outer.T @ kernel.by_outputs
    energies = inner.square().sum(1)
    # Each factor takes half of a component's size, so that neither has a wide range.
    root = energies.clamp(min=1e-24 * max(kernel.square, 1e-200)) ** 0.25
    weights = ((inner / root[:, None])[:, :, None], (outer * root)[:, :, None])
    return Factors(weights, kernel.lost(float(energies.sum())))
