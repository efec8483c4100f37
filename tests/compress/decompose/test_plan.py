"""Ranks keep their budgets, and no layer ever gets costlier than it was."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from hwflow.compress.decompose.candidates import Candidate
from hwflow.compress.decompose.cost import Cost, network_cost, uses
from hwflow.compress.decompose.kernel import Kernel
from hwflow.compress.decompose.methods import methods_for
from hwflow.compress.decompose.plan import Decomposition, in_parallel, plan_layer
from hwflow.compress.decompose.replace import factor_layers, fill
from hwflow.costs import Target, layer_shapes
from hwflow.errors import HwflowError
from hwflow.recipe.stages.decompose import Factorization
from tests.support.factors import compose

UNHURRIED = Target()
METHODS = ["tucker2", "tucker_in", "tucker_out", "cp"]


def low_rank(layer, rank, noise=0.02, seed=0):
    """A layer whose weight has few components, in all of its ways, and noise."""
    generator = torch.Generator().manual_seed(seed)
    shape = layer.weight.shape
    outputs, inputs = (
        torch.linalg.qr(torch.randn(n, n, generator=generator)).Q[:, torch.arange(rank) % n]
        for n in shape[:2]
    )
    taps = torch.randn(math.prod(shape[2:]), rank, generator=generator)
    product = torch.einsum("or,ir,kr->oik", outputs, inputs, taps).reshape(shape)
    rest = torch.randn(shape, generator=generator)
    with torch.no_grad():
        layer.weight.copy_(10 * (product / product.norm() + noise * rest / rest.norm()))
    return layer


def plan(layer, shape, *, unit=4, target=UNHURRIED, **policy):
    network = nn.Sequential(layer)
    candidate = Candidate("0", layer, Factorization(**policy))
    return plan_layer(candidate, uses(network, shape)["0"], unit, target, 0)


def factors(layer, found):
    made = factor_layers(layer, Kernel(layer.weight).size, found.method, found.ranks)
    fill(made, found.factors.weights, layer)
    return made


CASES = [
    (partial(nn.Conv2d, 32, 48, 3, padding=1), (32, 12, 12)),
    (partial(nn.Conv2d, 32, 48, 3, stride=3), (32, 15, 15)),
    (partial(nn.Conv2d, 24, 16, (5, 3), dilation=2, padding="same"), (24, 9, 14)),
    (partial(nn.Conv1d, 40, 24, 7, stride=2), (40, 64)),
    (partial(nn.Conv2d, 64, 48, 1, stride=2), (64, 10, 10)),
    (partial(nn.Linear, 96, 40), (5, 96)),
    (partial(nn.Conv2d, 3, 16, 3), (3, 16, 16)),
]
RULES = [
    {"by": "vbmf", "minimum": 4},
    {"by": "energy", "keep": 0.8},
    {"by": "error"},
    {"by": "hardware", "keep": 0.6},
]


@pytest.mark.parametrize(("make", "shape"), CASES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["by"])
@pytest.mark.parametrize("cost", ["macs", "params", "cycles", "lut", "bram18"])
@pytest.mark.parametrize("method", ["auto", *METHODS[:3]])
def test_never_costlier_and_always_on_the_unit(make, shape, rule, cost, method):
    target = UNHURRIED if cost in {"macs", "params"} else Target(cycles=2000, bits=(4, 4))
    for number, layer in enumerate((make(), low_rank(make(), 4))):
        if number == 0 and method == "auto":
            continue  # of noise, CP takes long to find nothing
        found = plan(layer, shape, target=target, method=method, ranks=rule, cost=cost)
        if isinstance(found, str):
            assert method in found or "svd" in found or method == "auto"
            continue
        before = layer_shapes(nn.Sequential(layer), shape)
        after = layer_shapes(factors(layer, found), shape)
        costs = [network_cost(cost, shapes, target) for shapes in (before, after)]
        assert costs == [found.before, found.after]
        assert costs[1].value <= costs[0].value
        assert costs[1].macs <= costs[0].macs
        assert costs[0] != costs[1]
        limits = {layer.weight.shape[0], layer.weight.shape[1]}
        assert all(rank % 4 == 0 or rank in limits for rank in found.ranks)
        assert found.factors.error == pytest.approx(
            Kernel(layer.weight).error(compose(found.factors.weights)), abs=1e-6
        )


def test_the_first_factor_costs_what_the_input_has_positions():
    """Ahead of a stride of 3, the 1 x 1 is at nine times the positions: no gain, so it stays."""
    layer = low_rank(nn.Conv2d(32, 32, 3, stride=3), 8, noise=0)
    policy = {"method": "tucker2", "ranks": {"by": "given", "rank": 8}}
    found = plan(layer, (32, 12, 12), **policy)
    assert isinstance(found, Decomposition)
    assert found.before.macs == 16 * 32 * 32 * 9
    assert found.after.macs == 144 * 32 * 8 + 16 * (8 * 8 * 9 + 8 * 32)
    layer = low_rank(nn.Conv2d(32, 8, 3, stride=3), 8, noise=0)
    stays = plan(layer, (32, 12, 12), **policy)
    assert (
        stays == "tucker2: rank 8, 8 would cost 47104 and 47104 MACs, not less than 36864 and 36864"
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("error", [0.05, 0.15, 0.4])
def test_the_error_budget_is_kept_by_as_little_as_can_be(method, error):
    layer = low_rank(nn.Conv2d(32, 24, 3), 6, noise=0.03)
    found = plan(layer, (32, 8, 8), unit=2, method=method, ranks={"by": "error"}, error=error)
    assert isinstance(found, Decomposition)
    assert found.factors.error <= error
    assert Kernel(layer.weight).error(compose(found.factors.weights)) <= error + 1e-9
    if method in {"tucker_in", "tucker_out"}:
        (made,) = methods_for(method, Kernel(layer.weight).size)
        less = made.factorize(Kernel(layer.weight), (found.ranks[0] - 2,), 0)
        assert less.error > error


@pytest.mark.parametrize("keep", [0.3, 0.6])
@pytest.mark.parametrize("cost", ["macs", "params", "cycles", "lut", "bram18"])
@pytest.mark.parametrize("method", METHODS)
def test_a_hardware_budget_is_kept_and_used(method, cost, keep):
    layer = low_rank(nn.Conv2d(32, 32, 3, padding=1), 4, noise=0.5)
    target = Target(cycles=500, bits=(8, 8)) if cost in {"lut", "bram18"} else UNHURRIED
    policy = {"method": method, "ranks": {"by": "hardware", "keep": keep}, "cost": cost}
    found = plan(layer, (32, 8, 8), unit=4, target=target, **policy)
    assert isinstance(found, Decomposition)
    assert found.after.value <= keep * found.before.value
    if cost in {"macs", "params"}:
        assert found.after.value > 0.7 * keep * found.before.value


def test_tucker_ranks_of_a_hardware_budget_are_the_best_pair():
    layer = low_rank(nn.Conv2d(16, 24, 3, padding=1), 6, noise=0.4)
    policy = {"method": "tucker2", "ranks": {"by": "hardware", "keep": 0.5}}
    found = plan(layer, (16, 6, 6), **policy)
    assert isinstance(found, Decomposition)
    kept = Kernel(layer.weight).kept
    costs = {
        (a, b): 36 * (16 * a + 9 * a * b + 24 * b) for a in range(4, 17, 4) for b in range(4, 25, 4)
    }
    fitting = [pair for pair, cost in costs.items() if cost <= 0.5 * 36 * 16 * 24 * 9]
    assert found.ranks == max(fitting, key=lambda pair: float(kept[pair[1], pair[0]]))


@pytest.mark.parametrize("keep", [0.5, 0.9, 1.0])
def test_energy_ranks_keep_the_share_in_both_ways(keep):
    layer = low_rank(nn.Conv2d(40, 32, 3), 5, noise=0.3)
    policy = {"method": "tucker2", "ranks": {"by": "energy", "keep": keep}}
    found = plan(layer, (40, 64, 64), unit=1, **policy)
    kernel = Kernel(layer.weight)
    wanted = []
    for basis in (kernel.inputs, kernel.outputs):
        shares = basis.values.square().cumsum(0) / basis.values.square().sum()
        wanted.append(int((shares < keep - 1e-9).sum()) + 1)
    if keep == 1.0:
        assert isinstance(found, str)
        assert "rank 40, 32" in found
    else:
        assert isinstance(found, Decomposition)
        assert list(found.ranks) == wanted


def test_vbmf_finds_planted_ranks_and_takes_the_minimum_of_noise():
    planted = low_rank(nn.Conv2d(40, 48, 3), 12, noise=0.05)
    policy = {"method": "tucker2", "ranks": {"by": "vbmf", "minimum": 6}}
    found = plan(planted, (40, 8, 8), unit=1, **policy)
    assert isinstance(found, Decomposition)
    assert found.ranks == (12, 12)
    noise = plan(nn.Conv2d(40, 48, 3), (40, 8, 8), unit=1, **policy)
    assert isinstance(noise, Decomposition)
    assert noise.ranks == (6, 6)
    onto_units = plan(planted, (40, 8, 8), unit=8, **policy)
    assert isinstance(onto_units, Decomposition)
    assert onto_units.ranks == (16, 16)


def test_a_rank_is_capped_by_the_channels_where_the_next_multiple_is_above_them():
    layer = low_rank(nn.Conv2d(12, 44, 3), 4)
    policy = {"method": "tucker2", "ranks": {"by": "given", "rank": [9, 20]}}
    found = plan(layer, (12, 8, 8), unit=8, **policy)
    assert isinstance(found, Decomposition)
    assert found.ranks == (12, 24)


@pytest.mark.parametrize("rank", [2, 5])
@pytest.mark.parametrize("cost", ["macs", "params"])
def test_auto_picks_the_cheapest_that_keeps_the_error(rank, cost):
    layer = low_rank(nn.Conv2d(24, 24, 3, stride=2), rank, noise=0.05)
    alone = {
        method: plan(
            layer, (24, 12, 12), unit=2, method=method, ranks={"by": "error"}, error=0.2, cost=cost
        )
        for method in METHODS
    }
    costs = {m: found.after for m, found in alone.items() if isinstance(found, Decomposition)}
    found = plan(layer, (24, 12, 12), unit=2, error=0.2, cost=cost)
    assert isinstance(found, Decomposition)
    assert found.after == min(costs.values())
    assert found.method == min(costs, key=lambda method: costs[method])


def test_auto_leaves_a_layer_that_nothing_cheaper_approximates():
    found = plan(nn.Conv2d(16, 16, 3), (16, 8, 8), error=0.02)
    assert isinstance(found, str)
    assert all(method in found for method in METHODS)
    policy = {"ranks": {"by": "vbmf", "minimum": 4}, "error": 0.1}
    found = plan(nn.Conv2d(16, 16, 3), (16, 8, 8), **policy)
    assert isinstance(found, str)
    assert "is above 0.1" in found


def test_a_layer_used_twice_costs_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(4, 4, 3, stride=2, padding=1)

        def forward(self, x):
            return self.layer(self.layer(x))

    found = uses(Twice(), (4, 8, 8))["layer"]
    assert [(use.before, use.after) for use in found] == [(64, 16), (16, 4)]


def test_costs_compare_by_both_numbers():
    assert Cost(3, 5).is_below(Cost(4, 5))
    assert Cost(4, 4).is_below(Cost(4, 5))
    assert not Cost(4, 5).is_below(Cost(4, 5))
    assert not Cost(3, 6).is_below(Cost(4, 5))


def test_weights_that_are_not_finite_are_named():
    layer = nn.Linear(8, 8)
    with torch.no_grad():
        layer.weight[0, 0] = math.nan
    with pytest.raises(HwflowError, match="0 has weights that are not finite") as caught:
        plan(layer, (8,))
    assert caught.value.hint


def test_the_number_of_threads_changes_no_bit():
    weights = [torch.randn(32, 24, 3, 3) for _ in range(4)]
    (method,) = methods_for("tucker2", Kernel(weights[0]).size)
    before, results = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        work = list(
            in_parallel(lambda w: method.factorize(Kernel(w), (8, 8), 0), weights, torch.numel)
        )
        results.append([weight for found in work for weight in found.weights])
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert all(map(torch.equal, *results))


def test_the_largest_layer_begins_first_and_results_keep_their_order():
    before, begun = torch.get_num_threads(), []

    def work(item):
        begun.append(item)
        return -item

    torch.set_num_threads(1)
    results = list(in_parallel(work, [2, 5, 1, 5, 3], int))
    torch.set_num_threads(before)
    assert results == [-2, -5, -1, -5, -3]
    assert begun == [5, 5, 3, 2, 1]


def test_a_layer_that_fails_ends_the_work():
    begun = []

    def work(item):
        begun.append(item)
        raise HwflowError(f"layer {item}")

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.raises(HwflowError, match="layer 0"):
        list(in_parallel(work, range(1000), lambda item: -item))
    torch.set_num_threads(before)
    assert len(begun) < 1000
