"""Which units stay: budgets, floors, ranks, blocks, N of M, and costs as recomputed."""

import math

import pytest
import torch
from torch import nn

from hwflow.compress.prune.budgets import CompactCosts
from hwflow.compress.prune.plan import make_plan, put_masks
from hwflow.compress.prune.removal import remove
from hwflow.compress.prune.selection import Selector
from hwflow.costs import Target, fold, hardware_costs, layer_shapes, network_costs
from hwflow.errors import RequestError
from hwflow.recipe import Prune

SHAPE = (4, 8, 8)


def cnn(widths=(32, 48), hidden=64):
    torch.manual_seed(0)
    first, second = widths
    return nn.Sequential(
        nn.Conv2d(4, first, 3, padding=1),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(second),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * 16, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


def plan_of(model, target=None, **changes):
    settings = Prune.model_validate({"kind": "prune", **changes})
    plan = make_plan(model, settings, SHAPE)
    groups = [s.group for s in plan.groups]
    costs = CompactCosts(model, SHAPE, groups, target or Target()) if groups else None
    selector = Selector(plan, model, settings, costs)
    generator = torch.Generator().manual_seed(1)
    for subject in plan.subjects:
        if subject.gates.scores.requires_grad:
            shape = subject.gates.scores.shape
            subject.gates.scores.data.copy_(torch.randn(shape, generator=generator))
    return plan, selector


def densities(plan):
    return [float(s.gates.keep.float().mean()) for s in plan.subjects]


@pytest.mark.parametrize("keep", [0.05, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("granularity", ["element", "row", "column"])
def test_a_local_budget_is_met_in_every_layer_by_the_best(keep, granularity):
    plan, select = plan_of(cnn(), granularity=granularity, budget={"keep": keep})
    select(1.0)
    for subject in plan.subjects:
        kept = subject.gates.keep
        assert int(kept.sum()) == max(1, round(keep * subject.size))
        if keep < 1:
            assert subject.gates.scores[kept].min() >= subject.gates.scores[~kept].max()


def test_a_global_budget_is_met_over_all_layers_by_one_ranking():
    budget = {"keep": 0.3, "scope": "global"}
    plan, select = plan_of(cnn(), granularity="element", budget=budget)
    plan.subjects[0].gates.scores.data.add_(10)
    select(1.0)
    kept = sum(int(s.gates.keep.sum()) for s in plan.subjects)
    assert kept == round(0.3 * sum(s.size for s in plan.subjects))
    assert densities(plan)[0] == 1
    worst_kept = min(s.gates.scores[s.gates.keep].min() for s in plan.subjects)
    best_gone = max(s.gates.scores[~s.gates.keep].max() for s in plan.subjects[1:])
    assert worst_kept >= best_gone


def test_something_stays_of_every_layer_whatever_its_scores():
    budget = {"keep": 0.2, "scope": "global"}
    plan, select = plan_of(cnn(), granularity="element", budget=budget, floor=0.01)
    plan.subjects[1].gates.scores.data.sub_(100)
    select(1.0)
    subject = plan.subjects[1]
    assert int(subject.gates.keep.sum()) == math.ceil(0.01 * subject.size)
    plan, select = plan_of(cnn(), method="threshold", granularity="row", threshold=1e9, floor=0.0)
    select(1.0)
    assert {int(s.gates.keep.sum()) for s in plan.subjects} == {1}


def test_the_share_that_stays_follows_the_schedule():
    plan, select = plan_of(cnn(), granularity="element", budget={"keep": 0.2})
    for progress in (0.0, 0.25, 0.5, 1.0):
        select(progress)
        assert densities(plan) == pytest.approx([1 - 0.8 * progress] * 4, abs=2e-3)


@pytest.mark.parametrize("method", ["threshold", "sigmoid_threshold"])
def test_thresholds_rise_with_the_schedule_and_keep_what_is_above(method):
    plan, select = plan_of(cnn(), method=method, granularity="element", threshold=0.6)
    for progress in (0.5, 1.0):
        select(progress)
        for subject in plan.subjects:
            scores = subject.gates.scores
            value = torch.sigmoid(scores) if method == "sigmoid_threshold" else scores
            assert torch.equal(subject.gates.keep, value > 0.6 * progress)


def test_magnitude_ranks_whole_blocks():
    model = cnn()
    with torch.no_grad():  # One large weight each in small blocks, and blocks large as a whole.
        model[9].weight.fill_(0.01)
        model[9].weight[0:2, 0:4] = 0.3
        model[9].weight[4, 20] = 1.0
    plan, select = plan_of(
        model,
        method="magnitude",
        granularity="block",
        block=(2, 4),
        budget={"keep": 0.02},
        skip=["[037]"],
    )
    (subject,) = plan.subjects
    put_masks(model, plan)
    select(1.0)
    assert subject.gates.keep.nonzero().tolist() == [[0, 0], [2, 5]]
    kept = model[9].weight != 0
    assert kept.sum() == 16
    assert kept[0:2, 0:4].all()
    assert kept[4:6, 20:24].all()


@pytest.mark.parametrize("n_of_m", [(2, 4), (1, 4), (1, 2), (3, 16)])
@pytest.mark.parametrize("method", ["topk", "magnitude"])
def test_n_of_m_consecutive_inputs_stay_and_they_are_the_best(n_of_m, method):
    n, m = n_of_m
    model = cnn()
    plan, select = plan_of(model, method=method, granularity="n_of_m", n_of_m=n_of_m, skip=["0"])
    select(1.0)
    for subject in plan.subjects:
        scores, keep = subject.gates.scores, subject.gates.keep
        if method == "magnitude":
            assert torch.equal(scores, model.get_submodule(subject.name).weight.abs())
        for start in range(0, scores.shape[1], m):
            part, kept = scores[:, start : start + m], keep[:, start : start + m]
            assert (kept.sum(1) == n).all()
            worst = part.masked_fill(~kept, math.inf).amin(1)
            assert (worst >= part.masked_fill(kept, -math.inf).amax(1)).all()
    select(0.0)
    assert all(subject.gates.keep.all() for subject in plan.subjects)


@pytest.mark.parametrize("unit", [1, 4, 8])
def test_channels_that_stay_are_multiples_of_the_unit(unit):
    _, select = plan_of(cnn(), unit=unit, budget={"keep": 0.4, "scope": "global"})
    select(1.0)
    counts = select.counts()
    assert set(counts) == {"0", "3"}
    assert all(count % unit == 0 for count in counts.values())
    assert sum(counts.values()) == pytest.approx(0.4 * 80, abs=2 * unit)


def test_magnitude_of_a_channel_is_of_all_weights_that_go_with_it():
    model = cnn()
    plan, select = plan_of(model, method="magnitude", unit=1)
    select(1.0)
    first = plan.subjects[0]
    wanted = [
        torch.cat([model[0].weight[c].flatten(), model[3].weight[:, c].flatten()]).abs().mean()
        for c in range(32)
    ]
    assert torch.allclose(first.gates.scores, torch.stack(wanted))


# ------------------------------------------------------------------------------- hardware cost


def compact(counts):
    return cnn((counts["0"], counts["3"]), counts.get("7", 64))


COSTS = {
    "macs": lambda model, target: network_costs(model, SHAPE).macs,
    "lut": lambda model, target: hardware_costs(model, SHAPE, target).lut,
    "bram18": lambda model, target: hardware_costs(model, SHAPE, target).bram18,
    "cycles": lambda model, target: hardware_costs(model, SHAPE, target).cycles,
}


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize(
    ("of", "keep", "cycles"),
    [
        ("macs", 0.5, 2**62),
        ("macs", 0.2, 2**62),
        ("cycles", 0.4, 2**62),
        ("lut", 0.6, 2000),
        ("bram18", 0.6, 2000),
        ("bram18", 0.6, 2**62),
    ],
)
def test_budgets_in_hardware_cost_are_met_as_recomputed_on_the_compact_network(
    scope, of, keep, cycles
):
    target = Target(cycles=cycles, bits=(4, 4))
    _, select = plan_of(
        cnn(),
        target,
        budget={"of": of, "keep": keep, "scope": scope},
        policies=[{"layers": "7", "granularity": "neuron", "budget": {"keep": 0.5}}],
        unit=2,
    )
    select(1.0)
    counts = select.counts()
    assert counts["7"] == 32
    dense, left = (COSTS[of](model, target) for model in (cnn(), compact(counts)))
    assert left <= keep * dense
    assert left > 0.6 * keep * dense
    shapes = layer_shapes(compact(counts), SHAPE)
    kept = [counts[name] for name in select.costs.names]
    assert select.costs.compact_layers(kept) == shapes


class Attending(nn.Module):
    """Attention with all projections in one weight, and with three of their own."""

    def __init__(self):
        super().__init__()
        self.first = nn.MultiheadAttention(32, 8, batch_first=True)
        self.second = nn.MultiheadAttention(32, 8, kdim=32, vdim=16, batch_first=True)
        self.last = nn.Linear(32, 10)

    def forward(self, x):
        x = self.first(x, x, x)[0]
        return self.last(self.second(x, x, x[..., :16])[0].mean(1))


@pytest.mark.parametrize(("of", "keep"), [("macs", 0.6), ("bram18", 0.6), ("cycles", 0.5)])
def test_budgets_of_torchs_attention_are_met_as_recomputed(of, keep):
    torch.manual_seed(0)
    model, shape, target = Attending(), (9, 32), Target(bits=(8, 8))
    settings = Prune(
        kind="prune", granularity="head", unit=4, budget={"of": of, "keep": keep, "scope": "global"}
    )
    plan = make_plan(model, settings, shape)
    groups = [s.group for s in plan.groups]
    costs = CompactCosts(model, shape, groups, target)
    select = Selector(plan, model, settings, costs)
    for subject in plan.subjects:
        subject.gates.scores.data.copy_(torch.randn(8))
    select(1.0)
    kept = {s.name: s.gates.keep.nonzero().flatten().tolist() for s in plan.subjects}
    compact, _ = remove(model, shape, kept, groups)
    counts = [len(kept[name]) for name in costs.names]
    assert costs.compact_layers(counts) == layer_shapes(compact, shape)
    measure = {
        "macs": lambda net: sum(layer.macs for layer in layer_shapes(net, shape)),
        "bram18": lambda net: hardware_costs(net, shape, target).bram18,
        "cycles": lambda net: hardware_costs(net, shape, target).cycles,
    }[of]
    assert 0.5 * keep * measure(model) < measure(compact) <= keep * measure(model)


def test_no_group_could_keep_more_within_a_global_budget():
    plan, select = plan_of(cnn(), budget={"of": "macs", "keep": 0.25, "scope": "global"}, unit=8)
    select(1.0)
    counts = select.counts()
    limit = 0.25 * network_costs(cnn(), SHAPE).macs
    assert network_costs(compact(counts), SHAPE).macs <= limit
    for subject in plan.subjects:
        more = {**counts, subject.name: counts[subject.name] + 8}
        assert network_costs(compact(more), SHAPE).macs > limit


def test_cycles_are_counted_at_the_dense_networks_folding():
    target = Target(cycles=5000)
    _, select = plan_of(cnn(), target, budget={"of": "cycles", "keep": 0.5}, unit=2)
    select(1.0)
    counts = select.counts()
    cycles = {}
    for dense, left in zip(
        layer_shapes(cnn(), SHAPE), layer_shapes(compact(counts), SHAPE), strict=True
    ):
        folding = fold(dense.mw, dense.mh, dense.positions, 5000)
        whole = dense.mw // folding.simd * (dense.mh // folding.pe) * dense.positions
        rest = math.ceil(left.mw / folding.simd) * math.ceil(left.mh / folding.pe)
        cycles[dense.name] = (whole, rest * left.positions)
    whole, rest = (max(values) for values in zip(*cycles.values(), strict=True))
    assert rest <= 0.5 * whole


def test_a_budget_out_of_reach_is_refused_before_training():
    with pytest.raises(RequestError, match=r"0\.01 of the network's macs can't be met") as caught:
        plan_of(cnn(), budget={"of": "macs", "keep": 0.01}, unit=16)
    assert "lower unit" in str(caught.value)


def test_a_budget_of_what_the_network_does_not_take_is_refused():
    with pytest.raises(RequestError, match="takes no bram18"):
        plan_of(cnn((8, 8), 4), Target(bits=(1, 1)), budget={"of": "bram18", "keep": 0.5}, unit=1)
