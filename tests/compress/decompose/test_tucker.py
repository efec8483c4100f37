"""Tucker decompositions: as good as can be had, and never worse than where they started."""

from itertools import pairwise

import numpy as np
import pytest
import tensorly
import torch
from tensorly.decomposition import partial_tucker

from hwflow.compress.decompose.basis import Basis
from hwflow.compress.decompose.kernel import Kernel
from hwflow.compress.decompose.methods import METHODS
from hwflow.compress.decompose.svd import svd
from hwflow.compress.decompose.tucker import TOLERANCE, tucker2, tucker_in, tucker_out
from tests.support.factors import compose

SHAPES = [(24, 16, 3, 3), (16, 40, 5), (64, 3, 7, 7), (8, 64, 1, 3), (30, 20, 1, 1)]


def weight(shape, seed=0, decay=0.0):
    """Random; with `decay`, channels of ever smaller size, as trained ones have."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    sizes = torch.exp(-decay * torch.arange(shape[0]) / shape[0])
    mixing = torch.linalg.qr(torch.randn(shape[0], shape[0])).Q
    return torch.einsum("oa,a,a...->o...", mixing, sizes, values) if decay else values


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (5, 3), (64, 576), (576, 64), (40, 40), (9, 4)])
@pytest.mark.parametrize("column_major", [False, True])
def test_singular_vectors_are_those_of_a_full_decomposition(shape, column_major):
    matrix = weight(shape).double()
    matrix = matrix.T.contiguous().T if column_major else matrix
    basis, wanted = Basis(matrix), torch.linalg.svdvals(matrix)
    assert torch.allclose(basis.values, wanted, atol=1e-7)
    for count in {1, min(shape) // 5 + 1, min(shape), shape[0]}:
        vectors = basis.first(count)
        assert vectors.shape == (shape[0], count)
        assert torch.allclose(vectors.T @ vectors, torch.eye(count).double(), atol=1e-9)
        kept = float((vectors.T @ matrix).square().sum())
        assert kept == pytest.approx(float(wanted[:count].square().sum()), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_hooi_never_raises_the_error_and_beats_tensorly(shape, share):
    values = weight(shape, decay=3.0)
    taps = values[0, 0].numel()
    ranks = [max(1, round(share * n)) for n in shape[:2]]
    ranks = [min(rank, taps * other) for rank, other in zip(ranks, reversed(ranks), strict=True)]
    found = tucker2(Kernel(values), ranks[1], ranks[0])
    assert all(after <= before + 1e-12 for before, after in pairwise(found.errors))
    assert found.error == pytest.approx(Kernel(values).error(compose(found.weights)), abs=1e-7)
    tensorly.set_backend("numpy")
    (core, bases), _ = partial_tucker(values.double().numpy(), rank=ranks, modes=[0, 1])
    made = np.einsum("ab...,oa,ib->oi...", core, *bases)
    theirs = np.linalg.norm(values.numpy() - made) / float(torch.linalg.norm(values.double()))
    assert found.error <= theirs + 1e-8


def test_hooi_ends_when_the_error_hardly_changes_and_gains_on_hosvd():
    found = tucker2(Kernel(weight((48, 32, 3, 3))), 8, 12)
    gains = -np.diff(found.errors)
    assert len(found.errors) > 3
    assert (gains[:-1] >= TOLERANCE).all()
    assert gains[-1] < TOLERANCE <= 1e-4
    assert found.error < found.errors[0] - 1e-3


@pytest.mark.parametrize("method", [tucker_in, tucker_out])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_sided_error_is_the_tail_of_the_singular_values(method, shape):
    values = weight(shape)
    unfolded = values.transpose(0, 1) if method is tucker_in else values
    unfolded = unfolded.flatten(1).double()
    rank = max(1, len(unfolded) // 3)
    singular = torch.linalg.svdvals(unfolded)
    tail = float(singular[rank:].norm() / singular.norm())
    found = method(Kernel(values), rank)
    assert found.error == pytest.approx(tail, abs=1e-7)
    assert Kernel(values).error(compose(found.weights)) == pytest.approx(tail, abs=1e-7)


@pytest.mark.parametrize("shape", [(40, 24), (24, 40), (16, 16, 1, 1), (10, 70, 1)])
def test_svd_is_the_nearest_matrix_of_its_rank_in_factors_of_equal_size(shape):
    values = weight(shape)
    singular = torch.linalg.svdvals(values.flatten(1).double())
    found = svd(Kernel(values), 6)
    tail = float(singular[6:].norm() / singular.norm())
    assert Kernel(values).error(compose(found.weights)) == pytest.approx(tail, abs=1e-7)
    assert found.error == pytest.approx(tail, abs=1e-7)
    first, last = found.weights
    assert torch.allclose(first[:, :, 0].norm(dim=1), last[:, :, 0].norm(dim=0), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_a_weight_of_zeros_gives_zeros(method):
    shape = (6, 5, 1, 1) if method.name == "svd" else (6, 5, 3, 3)
    kernel = Kernel(torch.zeros(shape))
    found = method.factorize(kernel, tuple(2 for _ in method.limits(kernel.size)), 0)
    made = compose(found.weights)
    assert made.shape == (6, 5, kernel.size.taps)
    assert not made.any()
    assert found.error == 0
