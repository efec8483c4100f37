"""What is pruned: policies, patterns, what is skipped or frozen, and what does not fit."""

from types import SimpleNamespace

import pytest
from pydantic import ValidationError
from torch import nn

from hwflow.compress import STAGES, Untrained
from hwflow.compress.prune.plan import make_plan
from hwflow.compress.prune.stage import ALL_KEPT, NOTHING_PRUNED, PRUNED
from hwflow.costs import Target
from hwflow.errors import RequestError
from hwflow.recipe import Decompose, Prune, Train
from hwflow.recipe.order import first_misplaced

SHAPE = (3, 8, 8)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(8, 8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 8, 3, padding=1)
        self.flat = nn.Flatten()
        self.fc1 = nn.Linear(8 * 64, 8)
        self.attention = SelfAttention()
        self.fc2 = nn.Linear(8, 10)

    def forward(self, x):
        x = self.fc1(self.flat(self.conv2(self.norm1(self.conv1(x)))))
        return self.fc2(self.attention.query(x))


def plan(**changes):
    return make_plan(Net(), prune(**changes), SHAPE)


def prune(**changes):
    return Prune.model_validate({"kind": "prune", "unit": 1, **changes})


def expected(before, **changes):
    data = SimpleNamespace(shape=SHAPE)
    return STAGES["prune"].expected(before, prune(**changes), data, Target())


def test_the_first_policy_that_matches_a_layer_counts():
    found = plan(
        granularity="element",
        threshold=0.4,
        policies=[
            {"layers": "conv.", "granularity": "block", "block": [2, 3], "budget": {"keep": 0.1}},
            {"layers": "conv1|fc2", "method": "sigmoid_threshold"},
        ],
    )
    settings = {s.name: s.selection for s in found.subjects}
    assert [[s.name for s in pool] for pool in found.pools] == [
        ["conv1", "conv2"],
        ["fc2"],
        ["fc1", "attention.query"],
    ]
    assert (settings["conv1"].granularity, settings["conv1"].budget.keep) == ("block", 0.1)
    assert settings["conv1"].method == "topk"
    assert (settings["fc2"].method, settings["fc2"].threshold) == ("sigmoid_threshold", 0.4)
    assert settings["fc2"].granularity == "element"
    assert settings["fc1"].budget.keep == 0.5


def test_kinds_of_layers_are_told_apart():
    kinds = {s.name: s.kind for s in plan(granularity="element").subjects}
    assert kinds == {
        "conv1": "conv",
        "conv2": "conv",
        "fc1": "dense",
        "attention.query": "attention",
        "fc2": "dense",
    }


class AttentionNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 8)
        self.mixer = nn.MultiheadAttention(8, 2, kdim=8, vdim=8)
        self.crossing = nn.MultiheadAttention(8, 2, kdim=12, vdim=8)

    def forward(self, x):
        y = self.fc(x)
        y = self.mixer(y, y, y)[0]
        return self.crossing(y, x, y)[0].mean(1)


def test_only_what_lies_in_an_attention_is_of_it():
    def found(**changes):
        settings = prune(granularity="element", **changes)
        subjects = make_plan(AttentionNet(), settings, (6, 12)).subjects
        return [(s.name, s.parameter, s.kind) for s in subjects]

    everything = found()
    projections = [("mixer", "in_proj_weight"), ("mixer.out_proj", "weight")]
    projections += [("crossing", f"{part}_proj_weight") for part in "qkv"]
    projections += [("crossing.out_proj", "weight")]
    assert everything == [("fc", "weight", "dense"), *((*p, "attention") for p in projections)]
    assert found(skip=["crossing"], freeze=["mixer"]) == everything[:1]


def test_skipped_and_frozen_layers_are_not_pruned():
    found = plan(granularity="element", skip=["fc."], freeze=["conv2"])
    assert [s.name for s in found.subjects] == ["conv1", "attention.query"]
    assert [s.name for s in plan().subjects] == ["conv1", "conv2"]
    assert [s.name for s in plan(skip=["conv2"]).subjects] == ["conv1"]
    # Channels of conv1 go with slices of norm1 and conv2.
    assert [s.name for s in plan(freeze=["norm1"]).subjects] == ["conv2"]


def test_rows_of_the_last_layer_are_classes_and_stay():
    assert "fc2" not in [s.name for s in plan(granularity="row").subjects]
    assert "fc2" in [s.name for s in plan(granularity="column").subjects]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.inner = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.outer, self.fc = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8 * 64, 10)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.outer(self.inner(x).relu())
        return self.fc(x.flatten(1))


def test_a_group_answers_to_the_name_of_each_layer_that_makes_its_units():
    def names(**changes):
        return [s.name for s in make_plan(Residual(), prune(**changes), SHAPE).subjects]

    assert names() == ["stem", "inner"]
    assert names(skip=["outer"]) == ["inner"]
    assert names(skip=["inner"]) == ["stem"]
    policy = {"layers": "outer", "granularity": "channel"}
    assert names(granularity="element", policies=[policy]) == ["stem", "inner", "fc"]


def test_zeros_here_and_there_are_not_trained_away_by_later_stages():
    scattered = [
        prune(granularity="element"),
        prune(policies=[{"layers": "fc", "granularity": "block", "block": [2, 2]}]),
    ]
    for stage in scattered:
        for later in (Train(kind="train"), Decompose(kind="decompose")):
            misplaced = first_misplaced([Train(kind="train"), stage, later])
            assert misplaced.index == 2
            assert "loses their zeros" in misplaced.reason
    assert "fill_epochs" in first_misplaced([scattered[0], Train(kind="train")]).remedy
    assert first_misplaced([Train(kind="train"), prune(), Train(kind="train")]) is None


def test_zeros_are_not_trained_away_by_pruning_once_more():
    scattered = prune(granularity="element")
    for changes in ({}, {"epochs": 0, "method": "magnitude", "fill_epochs": 2}):
        misplaced = first_misplaced([scattered, prune(**changes)])
        assert misplaced.index == 1
        assert "loses their zeros" in misplaced.reason
        assert "with policies" in misplaced.remedy
    at_once = prune(granularity="element", epochs=0, method="magnitude")
    assert first_misplaced([scattered, at_once]) is None
    assert first_misplaced([prune(), scattered]) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"policies": [{"layers": "fcc1"}], "granularity": "element"},
            ["policies.0.layers: 'fcc1' matches no layer", "did you mean 'fc1'"],
        ),
        ({"policies": [{"layers": "fc1"}]}, ["policies.0.layers: 'fc1' matches no layer", "conv1"]),
        ({"skip": ["conv3"]}, ["skip: 'conv3' matches no layer", "did you mean 'conv"]),
        ({"freeze": ["nrm1"]}, ["freeze: 'nrm1' matches no layer", "did you mean 'norm1'"]),
        (
            {"skip": ["conv."]},
            ["nothing to prune with granularity channel", "take layers out of skip"],
        ),
        ({"unit": 16}, ["unit of 16 leaves nothing to take out", "conv1, is 16 wide"]),
        (
            {"granularity": "block", "block": [16, 2]},
            ["block of 16 x 2 is larger than layer conv2 of 8 x 16", "skip"],
        ),
        (
            {"granularity": "n_of_m"},
            ["n_of_m: 4 does not divide the 3 inputs of layer conv1", "skip"],
        ),
        (
            {"budget": {"of": "macs", "keep": 0.001}},
            ["a budget of 0.001 of the network's macs can't be met"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_training(changes, says):
    with pytest.raises(RequestError) as caught:
        expected(Untrained(Net()), **changes)
    for words in says:
        assert words in str(caught.value)


def test_layers_whose_sizes_an_earlier_stage_will_decide_are_checked_when_the_stage_starts():
    before = Untrained(Net(), ("ranks are the least",), sized=False)
    after = expected(before, skip=["conv1.core"])
    assert after.model is before.model
    assert after.assumptions == ("ranks are the least", NOTHING_PRUNED)
    assert after.may_shrink


@pytest.mark.parametrize(
    ("changes", "assumption", "shrinks"),
    [
        ({"granularity": "channel", "method": "magnitude", "budget": {"keep": 0.5}}, PRUNED, False),
        ({"granularity": "channel", "method": "threshold"}, ALL_KEPT, True),
    ],
)
def test_what_training_decides_is_said(changes, assumption, shrinks):
    after = expected(Untrained(Net()), skip=["fc2"], **changes)
    assert (after.assumptions, after.may_shrink) == ((assumption,), shrinks)
    assert (after.model.conv1.out_channels < 16) is (assumption == PRUNED)


def test_a_network_without_layers_is_refused():
    with pytest.raises(RequestError, match="no linear or convolutional layer"):
        STAGES["prune"].check(nn.Flatten(), prune())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"budget": {"keep": 0}}, "a sparsity of 1, leaves no network"),
        ({"budget": {"keep": 1.2}}, "less than or equal to 1"),
        ({"unit": 0}, "greater than or equal to 1"),
        ({"granularity": "block"}, "needs `block`"),
        ({"block": [2, 2]}, "block is for granularity block"),
        ({"granularity": "block", "block": [0, 2]}, "at least one row"),
        ({"n_of_m": [4, 4]}, "fewer than M, not 4 of 4"),
        ({"granularity": "n_of_m", "method": "threshold"}, "threshold ranks nothing"),
        ({"granularity": "n_of_m", "budget": {"keep": 0.5}}, "follows from N and M"),
        ({"method": "threshold", "budget": {"keep": 0.5}}, "threshold has no budget"),
        ({"granularity": "element", "budget": {"of": "lut"}}, "save no hardware"),
        ({"method": "sigmoid_threshold", "threshold": 1.0}, "between 0 and 1"),
        ({"method": "l0"}, "needs a regularizer"),
        ({"epochs": 0}, "never learn; use magnitude"),
        ({"warm_up": 0.6, "cool_down": 0.4}, "no steps between"),
        ({"rewind": "start"}, "rewind needs fill_epochs"),
        ({"skip": ["conv("]}, "is not a regular expression"),
        ({"policies": [{"layers": "a", "budget": {"of": "macs"}}]}, "for the whole network"),
        ({"policies": [{"layers": "a", "method": "l0"}]}, "policy 'a': method l0 needs"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, says):
    with pytest.raises(ValidationError) as caught:
        prune(**changes)
    assert says in str(caught.value)


def test_a_recipe_with_its_defaults_filled_in_means_the_same():
    asked = prune(
        method="l0",
        granularity="element",
        regularizer={"kind": "l0"},
        policies=[{"layers": "fc", "granularity": "neuron"}, {"layers": "x", "method": "topk"}],
    )
    again = Prune.model_validate(asked.model_dump(mode="json"))
    assert again == asked
    chosen = [again.selection(policy) for policy in (None, *again.policies)]
    assert [(c.method, c.granularity) for c in chosen] == [
        ("l0", "element"),
        ("l0", "neuron"),
        ("topk", "element"),
    ]
