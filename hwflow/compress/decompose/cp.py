"""Canonical polyadic (CP) decomposition: a sum of products of three vectors.

For convolutions: V. Lebedev et al.: Speeding-up convolutional neural networks using fine-tuned
CP-decomposition, ICLR 2015, section 3; both kernel ways are one here. Alternating least squares:
T. Kolda, B. Bader: Tensor decompositions and applications, SIAM Review 51 (2009), section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch

from hwflow.compress.decompose.factors import Factors
from hwflow.compress.decompose.kernel import Kernel

# Random starts that are tried, and sweeps after which the best start goes on alone.
RANDOM, TRIAL = 3, 60
SWEEPS = 400
# Multiplications of a sweep above which the first start is the only one, and of all sweeps above
# which none follow the trial. Starts matter less the greater a weight is.
LARGE, WORK = 1e8, 1e11
# The end: a sweep lowers the relative error by less than this share of it.
TOLERANCE = 1e-6
EXACT = 1e-7
# Of the mean of a Gram matrix' diagonal, added to it: without it, components may grow without
# bound while they cancel each other.
RIDGE = 1e-9


@dataclass
class _Components:
    """Columns (outputs, R), (taps, R) and (inputs, R); those of inputs carry the sizes."""

    outputs: torch.Tensor
    taps: torch.Tensor
    inputs: torch.Tensor
    error: float = 1.0


def cp(kernel: Kernel, rank: int, seed: int) -> Factors:
    """1 x 1 to the rank, the kernel's taps on each channel alone (depthwise), 1 x 1 from the rank.

    Alternating least squares with normalised columns, from several starts: singular vectors,
    components that diagonalise, and random ones; from the first alone where weights are large. The
    same seed gives the same bits.

    Args:
        kernel: the weight.
        rank: at most min(outputs, inputs) times taps, which any weight is exact with.
        seed: of the random starts.
    """
    size = kernel.size
    if rank >= min(size.outputs, size.inputs) * size.taps:
        return _factors(kernel, _by_taps(kernel), ())
    work = 2 * kernel.tensor.numel() * rank
    starts = islice(_starts(kernel, rank, seed), 1 if work > LARGE else None)
    tried = [(start, _sweeps(kernel, start, TRIAL)) for start in starts]
    best, errors = min(tried, key=lambda one: one[0].error)
    errors += _sweeps(kernel, best, min(SWEEPS, int(WORK / work)) - TRIAL)
    return _factors(kernel, best, tuple(errors))


def cp_keeps(kernel: Kernel, rank: int, error: float, seed: int) -> bool:
    """Whether `cp` keeps an error budget, as its first start tells; in a fraction of its time.

    Never says yes wrongly. Gives up when a start, at the pace of its last sweep, would not get
    there.
    """
    parts = next(_starts(kernel, rank, seed))
    for left in reversed(range(TRIAL)):
        before = parts.error
        _sweep(kernel, parts)
        if parts.error <= error:
            return True
        if parts.error - error > left * (before - parts.error):
            return False
    return False


def _starts(kernel: Kernel, rank: int, seed: int) -> Iterator[_Components]:
    size = kernel.size
    generator = torch.Generator().manual_seed(seed)

    def random() -> _Components:
        rows = size.outputs, size.taps, size.inputs
        outputs, taps, inputs = (
            _normalised(torch.randn(n, rank, generator=generator, dtype=torch.float64))
            for n in rows
        )
        return _Components(outputs, taps, inputs)

    singular = random()
    for columns, basis in ((singular.outputs, kernel.outputs), (singular.inputs, kernel.inputs)):
        few = min(rank, basis.count)
        columns[:, :few] = basis.first(few)
    yield singular
    if rank <= min(kernel.outputs.count, kernel.inputs.count):
        yield _diagonalising(kernel, rank, generator)
    for _ in range(RANDOM):
        yield random()


def _diagonalising(kernel: Kernel, rank: int, generator: torch.Generator) -> _Components:
    """The components of a weight that has so many and no more, but for rounding.

    Two mixtures of the taps' matrices, M and N, share their components, so that those of outputs
    are eigenvectors of M N^-1: S. Leurgans, R. Ross, R. Abel: A decomposition for three-way arrays,
    SIAM J. Matrix Anal. Appl. 14 (1993).
    """
    size = kernel.size
    outer, inner = kernel.outputs.first(rank), kernel.inputs.first(rank)
    core = (outer.T @ (kernel.tensor @ inner).flatten(1)).reshape(rank, size.taps, rank)
    mixing = torch.randn(2, size.taps, generator=generator, dtype=torch.float64)
    one, other = torch.einsum("mk,akb->mab", mixing, core)
    values, vectors = torch.linalg.eig(one @ torch.linalg.pinv(other))
    # The two of a complex pair span the same plane as their real and imaginary part.
    outputs = _normalised(outer @ torch.where(values.imag >= 0, vectors.real, vectors.imag))
    rest = (torch.linalg.pinv(outputs) @ kernel.by_outputs).reshape(rank, size.taps, size.inputs)
    left, _, right = torch.linalg.svd(rest, full_matrices=False)
    return _Components(outputs, left[:, :, 0].T.contiguous(), right[:, 0].T.contiguous())


def _sweeps(kernel: Kernel, parts: _Components, count: int) -> list[float]:
    """Improve components in place; the errors after each sweep."""
    errors: list[float] = []
    for _ in range(count):
        _sweep(kernel, parts)
        errors.append(parts.error)
        small = parts.error < EXACT
        if small or (len(errors) > 1 and errors[-2] - errors[-1] < TOLERANCE * errors[-1]):
            break
    return errors


def _sweep(kernel: Kernel, parts: _Components) -> None:
    """Least squares for each way's components in turn."""
    size = kernel.size
    along = kernel.tensor @ parts.inputs  # (outputs, taps, R)
    parts.outputs = _normalised(
        _solve(
            torch.einsum("okr,kr->or", along, parts.taps),
            _gram(parts.taps) * _gram(parts.inputs),
        )
    )
    parts.taps = _normalised(
        _solve(
            torch.einsum("okr,or->kr", along, parts.outputs),
            _gram(parts.outputs) * _gram(parts.inputs),
        )
    )
    across = (parts.outputs.T @ kernel.by_outputs).reshape(-1, size.taps, size.inputs)
    products = torch.einsum("rki,kr->ir", across, parts.taps)
    gram = _gram(parts.outputs) * _gram(parts.taps)
    parts.inputs = _solve(products, gram)
    both = float((products * parts.inputs).sum())
    parts.error = kernel.lost(2 * both - float((gram * _gram(parts.inputs)).sum()))


def _gram(columns: torch.Tensor) -> torch.Tensor:
    return columns.T @ columns


def _solve(products: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
    """X (n, R) of least squares with X gram = products, gram regularised."""
    ridge = RIDGE * gram.diagonal().mean().clamp(min=1e-300)
    lower = torch.linalg.cholesky(gram + ridge * torch.eye(len(gram), dtype=gram.dtype))
    return torch.cholesky_solve(products.T, lower).T


def _normalised(columns: torch.Tensor) -> torch.Tensor:
    normalised: torch.Tensor = columns / columns.norm(dim=0).clamp(min=1e-300)
    return normalised


def _by_taps(kernel: Kernel) -> _Components:
    """Exact: the singular value decomposition of each tap's matrix."""
    size = kernel.size
    each = min(size.outputs, size.inputs)
    outer, values, inner = torch.linalg.svd(kernel.tensor.transpose(0, 1), full_matrices=False)
    return _Components(
        outputs=outer.transpose(0, 1).reshape(size.outputs, -1),
        taps=torch.eye(size.taps, dtype=torch.float64).repeat_interleave(each, 1),
        inputs=(values[:, :, None] * inner).reshape(-1, size.inputs).T,
        error=0.0,
    )


def _factors(kernel: Kernel, parts: _Components, errors: tuple[float, ...]) -> Factors:
    """Factors in order of use, each with a third of a component's size."""
    root = parts.inputs.norm(dim=0).clamp(min=1e-300) ** (1 / 3)
    weights = (
        (parts.inputs / root**2).T[:, :, None],
        (parts.taps * root).T[:, None, :],
        (parts.outputs * root)[:, :, None],
    )
    return Factors(weights, parts.error, errors)
