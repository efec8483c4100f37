"""CP decomposition: finds planted components, does no worse than tensorly, repeats itself."""

import warnings
from itertools import pairwise

import pytest
import tensorly
import torch
from tensorly.cp_tensor import cp_to_tensor
from tensorly.decomposition import parafac

from hwflow.compress.decompose.cp import TRIAL, cp, cp_keeps
from hwflow.compress.decompose.kernel import Kernel
from tests.support.factors import compose


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def planted(outputs, inputs, taps, rank, seed=0):
    ways = [random(n, rank, seed=seed + place) for place, n in enumerate((outputs, inputs, taps))]
    return ways, torch.einsum("or,ir,kr->oik", *ways)


def cosines(found, wanted):
    """Greatest similarity of each wanted column with a found one."""
    found, wanted = found / found.norm(dim=0), wanted / wanted.norm(dim=0)
    return (wanted.T @ found).abs().max(1).values


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(16, 12, 9, 4), (32, 24, 9, 20), (24, 24, 9, 32), (20, 6, 5, 9)])
def test_planted_components_are_found(size, seed):
    (outputs, inputs, taps), values = planted(*size, seed=10 * seed)
    found = cp(Kernel(values), size[-1], seed)
    first, middle, last = found.weights
    assert Kernel(values).error(compose(found.weights)) < 1e-6
    assert cosines(first[:, :, 0].T, inputs).min() > 1 - 1e-6
    assert cosines(middle[:, 0].T, taps).min() > 1 - 1e-6
    assert cosines(last[:, :, 0], outputs).min() > 1 - 1e-6


@pytest.mark.parametrize(
    "size", [(32, 16, 9, 8), (16, 16, 5, 24), (48, 32, 9, 16), (24, 24, 9, 40)]
)
def test_error_is_no_higher_than_tensorlys(size):
    *shape, rank = size
    values = random(*shape)
    found = cp(Kernel(values), rank, 0)
    assert found.error == pytest.approx(Kernel(values).error(compose(found.weights)), abs=1e-6)
    tensorly.set_backend("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = [
            parafac(values, rank, init=init, n_iter_max=100, random_state=0, tol=1e-8)
            for init in ("svd", "random")
        ]
    errors = [float((cp_to_tensor(one) - values).norm() / values.norm()) for one in theirs]
    tensorly.set_backend("numpy")
    assert found.error <= min(errors) + 1e-6


def test_components_are_balanced_and_bounded_where_a_best_one_does_not_exist():
    # A tensor of rank 3 that sums of two products come as near to as one likes, and ever greater.
    a, b = random(6, 2).unbind(1)
    border = sum(torch.einsum("o,i,k->oik", *ways) for ways in ((a, a, b), (a, b, a), (b, a, a)))
    found = cp(Kernel(border), 2, 0)
    first, middle, last = found.weights
    sizes = [first.norm(dim=1).flatten(), middle.norm(dim=2).flatten(), last.norm(dim=0).flatten()]
    assert torch.allclose(sizes[0], sizes[1])
    assert torch.allclose(sizes[0], sizes[2])
    assert max(float(s.max()) for s in sizes) < 30 * float(border.norm()) ** (1 / 3)
    assert found.error < 0.1


@pytest.mark.parametrize("shape", [(8, 6, 9), (5, 9, 4)])
def test_the_greatest_rank_is_exact(shape):
    values = random(*shape)
    found = cp(Kernel(values), min(shape[:2]) * shape[2], 0)
    assert Kernel(values).error(compose(found.weights)) < 1e-12


def test_the_same_seed_gives_the_same_bits():
    kernel = Kernel(random(12, 10, 9))
    first, again = (cp(kernel, 14, 3) for _ in range(2))
    assert all(map(torch.equal, first.weights, again.weights))


def test_a_budget_is_said_to_be_kept_where_it_is():
    kernel = Kernel(planted(24, 20, 9, 10)[1] + 0.5 * random(24, 20, 9, seed=5))
    for rank in (4, 8, 12, 20):
        error = cp(kernel, rank, 0).error
        assert cp_keeps(kernel, rank, error + 0.02, 0)
        assert not cp_keeps(kernel, rank, error - 1e-6, 0)


def test_a_large_weight_gets_one_start_and_few_sweeps(monkeypatch):
    kernel, rank = Kernel(random(24, 20, 9)), 30
    work = 2 * kernel.tensor.numel() * rank
    free = cp(kernel, rank, 0)
    assert len(free.errors) > TRIAL + 5
    monkeypatch.setattr("hwflow.compress.decompose.cp.LARGE", work - 1)
    monkeypatch.setattr("hwflow.compress.decompose.cp.WORK", (TRIAL + 5) * work)
    found = cp(kernel, rank, 0)
    assert len(found.errors) == TRIAL + 5
    assert cp_keeps(kernel, rank, found.errors[TRIAL - 1], 0)
    assert all(after <= before + 1e-12 for before, after in pairwise(found.errors))
