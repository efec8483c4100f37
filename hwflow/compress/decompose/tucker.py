"""Tucker decomposition in the two channel ways of a weight, or in one of them.

Tucker-2: Y.-D. Kim et al.: Compression of deep convolutional neural networks for fast and low
power mobile applications, ICLR 2016, section 3.1. HOSVD and HOOI: L. De Lathauwer, B. De Moor,
J. Vandewalle: A multilinear singular value decomposition, and On the best rank-1 and
rank-(R1, ..., RN) approximation of higher-order tensors, SIAM J. Matrix Anal. Appl. 21 (2000).
"""

from __future__ import annotations

import torch

from hwflow.compress.decompose.basis import Basis
from hwflow.compress.decompose.factors import Factors
from hwflow.compress.decompose.kernel import Kernel

# HOOI ends when a sweep, from the third on, lowers the relative error by less. That is half of what
# is usual: sweeps are cheap here.
TOLERANCE = 5e-5
LEAST, SWEEPS = 3, 100


def tucker2(kernel: Kernel, rank_in: int, rank_out: int) -> Factors:
    """1 x 1 to `rank_in`, the core with the kernel's taps, 1 x 1 from `rank_out`.

    Starts from HOSVD; then HOOI sweeps, none of which can raise the error, since each takes the
    best basis of one way for the other's. A sweep decomposes the weight projected on one basis,
    which is small.

    Args:
        kernel: the weight.
        rank_in: at most its inputs.
        rank_out: at most its outputs.
    """
    taps = kernel.size.taps
    inner, outer = kernel.inputs.first(rank_in), kernel.outputs.first(rank_out)
    half = _projected(kernel, inner)
    core = outer.T @ half
    errors = [kernel.lost(float(core.square().sum()))]
    for _ in range(SWEEPS if taps > 1 else 0):  # of a matrix, HOSVD is the best already
        outer = Basis(half).first(rank_out)
        rest = (outer.T @ kernel.by_outputs).reshape(rank_out * taps, -1)
        inner = Basis(rest.T).first(rank_in)
        half = _projected(kernel, inner)
        core = outer.T @ half
        errors.append(kernel.lost(float(core.square().sum())))
        if len(errors) > LEAST and errors[-2] - errors[-1] < TOLERANCE:
            break
    weights = (
        inner.T[:, :, None],
        core.reshape(rank_out, taps, rank_in).transpose(1, 2),
        outer[:, :, None],
    )
    return Factors(weights, errors[-1], tuple(errors))


def _projected(kernel: Kernel, inner: torch.Tensor) -> torch.Tensor:
    """(outputs, taps rank): the weight's inputs projected on a basis (inputs, rank)."""
    # A thin matrix on the left is read once; on the right it is slow.
    product = (inner.T @ kernel.by_inputs.T).T
    return product.reshape(kernel.size.outputs, -1)


def tucker_in(kernel: Kernel, rank: int) -> Factors:
    """1 x 1 to the rank, then the kernel's taps; nothing of this form and rank does better."""
    inner = kernel.inputs.first(rank)
    core = kernel.tensor @ inner
    weights = (inner.T[:, :, None], core.transpose(1, 2))
    return Factors(weights, kernel.lost(float(core.square().sum())))


def tucker_out(kernel: Kernel, rank: int) -> Factors:
    """The kernel's taps to the rank, then 1 x 1; nothing of this form and rank does better."""
    outer = kernel.outputs.first(rank)
    core = (outer.T @ kernel.by_outputs).reshape(rank, kernel.size.taps, -1)
    weights = (core.transpose(1, 2), outer[:, :, None])
    return Factors(weights, kernel.lost(float(core.square().sum())))
