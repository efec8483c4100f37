"""Stage `prune` on digits: each method reaches its density, learns, repeats itself and reloads."""

import copy

import pytest
import torch
from torch import nn

from hwflow import networks
from hwflow.compress import STAGES, StageContext, accuracy, load_checkpoint, save_checkpoint
from hwflow.compress.prune import removal
from hwflow.compress.prune.plan import make_plan, put_masks
from hwflow.compress.prune.stage import parameter_groups
from hwflow.costs import network_costs
from hwflow.data import load
from hwflow.errors import HwflowError
from hwflow.recipe import Digits, Mlp, Prune, Train

pytestmark = pytest.mark.slow

STAGE = STAGES["prune"]
QUARTER = {"keep": 0.25}


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    model = networks.build(Mlp(name="mlp", widths=(64, 32)), data.shape, data.classes, 0)
    context = StageContext(data, 0, tmp_path_factory.mktemp("trained"))
    settings = Train(kind="train", epochs=8, learning_rate=0.01)
    return STAGES["train"].run(model, settings, context).model


def settings_of(**changes):
    return Prune.model_validate({"kind": "prune", "learning_rate": 0.003, **changes})


def prune(model, data, folder, seed=0, context=None, **changes):
    folder.mkdir(exist_ok=True)
    context = context or StageContext(data, seed, folder)
    return STAGE.run(copy.deepcopy(model), settings_of(**changes), context)


def layers(model):
    return [m for m in model.modules() if isinstance(m, nn.Linear)]


SCATTERED = {
    "element": {"granularity": "element", "budget": QUARTER},
    "global": {"granularity": "element", "budget": {"keep": 0.25, "scope": "global"}},
    "block": {"granularity": "block", "block": [2, 4], "budget": QUARTER},
    "column": {"granularity": "column", "budget": {"keep": 0.5}},
    "magnitude": {"granularity": "element", "method": "magnitude", "budget": QUARTER},
    "2:4": {"granularity": "n_of_m"},
}


@pytest.mark.parametrize("name", SCATTERED)
def test_scattered_zeros_are_as_many_as_asked_for_and_the_network_still_knows(
    data, trained, tmp_path, name
):
    outcome = prune(trained, data, tmp_path, epochs=10, fill_epochs=2, **SCATTERED[name])
    wanted = 0.5 if name in {"2:4", "column"} else 0.25
    zeros = [layer.weight == 0 for layer in layers(outcome.model)]
    found = sum(int((~z).sum()) for z in zeros) / sum(z.numel() for z in zeros)
    assert found == pytest.approx(wanted, abs=0.01)
    assert outcome.metrics["density"] == pytest.approx(found)
    if name != "global":
        for z in zeros:
            assert float((~z).float().mean()) == pytest.approx(wanted, abs=0.02)
    if name == "2:4":
        assert all(((~z).reshape(len(z), -1, 4).sum(-1) == 2).all() for z in zeros)
    if name == "block":
        blocks = zeros[0].reshape(32, 2, 16, 4).float().mean((1, 3))
        assert set(blocks.unique().tolist()) == {0.0, 1.0}
    assert outcome.metrics["test_accuracy"] == accuracy(outcome.model, data, data.test) > 0.75
    assert not any("parametrizations" in key for key in outcome.model.state_dict())


def test_movement_drops_the_columns_of_dead_pixels_first(data, trained, tmp_path):
    pixels = torch.from_numpy(data.floats(data.train)).flatten(1)
    dead = pixels.std(0) == 0
    assert dead.any()
    outcome = prune(
        trained,
        data,
        tmp_path,
        epochs=3,
        granularity="column",
        budget={"keep": 0.5},
        skip=["[47]"],
    )
    kept = layers(outcome.model)[0].weight.abs().sum(0) > 0
    assert int(kept.sum()) == 32
    assert not kept[dead].any()


METHODS = {
    "threshold": {"threshold": 1.3},
    "sigmoid_threshold": {"threshold": 0.3, "regularizer": {"weight": 20.0}},
    "l0": {"regularizer": {"kind": "l0", "weight": 20.0}, "scores": {"learning_rate": 0.1}},
}


@pytest.mark.parametrize(
    ("method", "granularity"),
    [
        ("threshold", "element"),
        ("sigmoid_threshold", "neuron"),
        ("l0", "element"),
        ("l0", "neuron"),
    ],
)
def test_thresholds_and_gates_prune_what_the_scores_say(
    data, trained, tmp_path, method, granularity
):
    outcome = prune(
        trained,
        data,
        tmp_path,
        epochs=20,
        fill_epochs=2,
        method=method,
        granularity=granularity,
        unit=2,
        **METHODS[method],
    )
    assert 0.02 < outcome.metrics["density"] < 0.9
    assert outcome.metrics["test_accuracy"] > 0.8


def test_the_budget_is_met_and_width_is_a_multiple_of_the_unit(data, trained, tmp_path):
    outcome = prune(
        trained,
        data,
        tmp_path,
        epochs=5,
        granularity="neuron",
        fill_epochs=5,
        budget={"of": "macs", "keep": 0.4, "scope": "global"},
    )
    assert 0.2 < outcome.metrics["macs_kept"] <= 0.4
    assert outcome.metrics["test_accuracy"] > 0.85


@pytest.mark.parametrize(
    "changes",
    [
        {"granularity": "element", "budget": QUARTER},
        {"granularity": "neuron", "method": "l0", "regularizer": {"kind": "l0"}},
    ],
)
def test_the_same_seed_gives_the_same_bits_and_a_checkpoint_gives_them_back(
    data, trained, tmp_path, changes
):
    outcomes = [
        prune(trained, data, tmp_path / str(n), epochs=2, fill_epochs=1, **changes)
        for n in range(2)
    ]
    states = [outcome.model.state_dict() for outcome in outcomes]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert outcomes[0].metrics == outcomes[1].metrics
    save_checkpoint(tmp_path, outcomes[0])
    again = load_checkpoint(tmp_path, STAGE, copy.deepcopy(trained), settings_of(**changes))
    inputs = torch.rand(20, *data.shape)
    assert torch.equal(again.model(inputs), outcomes[0].model(inputs))
    assert again.metrics == outcomes[0].metrics


def test_without_training_magnitude_prunes_at_once(data, trained, tmp_path):
    outcome = prune(
        trained,
        data,
        tmp_path,
        epochs=0,
        method="magnitude",
        granularity="element",
        budget={"keep": 0.5},
    )
    for before, after in zip(layers(trained), layers(outcome.model), strict=True):
        kept = after.weight != 0
        assert torch.equal(after.weight[kept], before.weight[kept])
        assert before.weight[kept].abs().min() >= before.weight[~kept].abs().max()


@pytest.mark.parametrize("rewind", ["start", "warm_up"])
def test_rewound_weights_are_those_from_before_under_the_final_mask(
    data, trained, tmp_path, rewind, monkeypatch
):
    given = {}

    def fill(model, plan, settings, context):
        given.update({name: value.clone() for name, value in model.state_dict().items()})

    monkeypatch.setattr("hwflow.compress.prune.stage._fill", fill)
    changes = {"granularity": "element", "budget": QUARTER, "fill_epochs": 1, "warm_up": 0.5}
    prune(trained, data, tmp_path, epochs=2, rewind=rewind, cool_down=0.2, **changes)
    before = trained.state_dict()
    kept = {name: given[name] != 0 for name in before if name in ("1.weight", "4.weight")}
    assert all(float(k.float().mean()) == pytest.approx(0.25, abs=0.01) for k in kept.values())
    same = [torch.equal(given[n][k], before[n][k]) for n, k in kept.items()]
    assert all(same) if rewind == "start" else not any(same)
    if rewind == "start":
        assert torch.equal(given["2.running_mean"], before["2.running_mean"])


def test_frozen_layers_stay_bit_for_bit_and_can_be_trained_afterwards(data, trained, tmp_path):
    outcome = prune(
        trained,
        data,
        tmp_path,
        epochs=2,
        fill_epochs=2,
        granularity="element",
        budget=QUARTER,
        freeze=["[125]"],
        weight_decay=0.1,
    )
    for number in (1, 2, 5):
        before, after = trained[number].state_dict(), outcome.model[number].state_dict()
        assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert not torch.equal(trained[4].weight, outcome.model[4].weight)
    assert all(parameter.requires_grad for parameter in outcome.model.parameters())


def test_scores_have_a_rate_of_their_own_and_no_weight_decay(trained):
    model, settings = copy.deepcopy(trained), settings_of(granularity="element")
    plan = make_plan(model, settings, (1, 8, 8))
    put_masks(model, plan)
    weights, scores = parameter_groups(model, plan, settings)
    assert (scores["lr"], scores["weight_decay"]) == (0.01, 0.0)
    assert {id(p) for p in scores["params"]} == {id(s.gates.scores) for s in plan.subjects}
    assert set(weights) == {"params"}
    both = [id(p) for p in (*weights["params"], *scores["params"])]
    assert sorted(both) == sorted({id(p) for p in model.parameters()})


def test_a_teachers_term_joins_the_loss_of_both_phases(data, trained, tmp_path):
    asked = []

    def teacher():
        asked.append(1)
        return copy.deepcopy(trained)

    context = StageContext(data, 0, tmp_path, earlier={"01-train": teacher}, scratch=tmp_path)
    changes = {"granularity": "element", "budget": QUARTER, "epochs": 2, "fill_epochs": 1}
    distillation = {"teachers": [{"stage": "train"}], "alpha": 1.0}
    outcome = prune(trained, data, tmp_path, context=context, distillation=distillation, **changes)
    alone = prune(trained, data, tmp_path / "alone", **changes)
    assert len(asked) == 2
    assert outcome.metrics["density"] == alone.metrics["density"]
    assert not torch.equal(outcome.model[1].weight, alone.model[1].weight)


class Mixed(nn.Module):
    """Every kind of layer: plain, depthwise and 1-D convolutions, a residual add, linear layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv1d(16, 16, 3, stride=2)
        self.fc1 = nn.Linear(16 * 31, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = torch.relu(self.norm1(self.conv1(x)))
        x = torch.relu(x + self.norm2(self.conv2(self.depthwise(x))))
        x = torch.relu(self.conv3(x.flatten(2)))
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


CHANNELS_AND_NEURONS = {
    "unit": 4,
    "budget": {"of": "macs", "keep": 0.5, "scope": "global"},
    "policies": [{"layers": "fc1", "granularity": "neuron", "budget": {"keep": 0.5}}],
}
BLOCKS_AND_CHANNELS = {
    "granularity": "block",
    "block": [2, 1],
    "unit": 4,
    "budget": {"keep": 0.5},
    "policies": [{"layers": "conv3", "granularity": "channel"}],
}


@pytest.mark.parametrize("changes", [CHANNELS_AND_NEURONS, BLOCKS_AND_CHANNELS])
def test_all_kinds_of_layers_are_pruned_together_and_reload_at_their_shapes(
    data, tmp_path, changes
):
    torch.manual_seed(0)
    model = Mixed()
    outcome = prune(model, data, tmp_path, epochs=2, fill_epochs=1, learning_rate=0.01, **changes)
    compact = outcome.model
    assert outcome.metrics["density"] <= 0.51
    assert outcome.metrics["test_accuracy"] > 0.3
    assert compact.fc1.in_features == 31 * compact.conv3.out_channels
    assert compact.conv3.out_channels % 4 == 0
    if changes is CHANNELS_AND_NEURONS:
        macs = network_costs(compact, data.shape).macs / network_costs(model, data.shape).macs
        assert outcome.metrics["macs_kept"] == pytest.approx(macs)
        assert 0.25 < macs <= 0.5
        assert compact.conv1.out_channels == compact.depthwise.groups == compact.conv2.in_channels
        assert compact.conv1.out_channels == compact.conv2.out_channels
        assert compact.fc1.out_features == compact.fc2.in_features == 16
    else:
        assert compact.conv3.out_channels == 8
    save_checkpoint(tmp_path, outcome)
    again = load_checkpoint(tmp_path, STAGE, Mixed(), settings_of(**changes)).model
    inputs = torch.rand(20, *data.shape)
    assert torch.equal(again(inputs), compact(inputs))


def test_a_network_that_differs_from_the_masked_one_is_not_passed_on(
    data, trained, tmp_path, monkeypatch
):
    right = removal.remove

    def wrong(model, shape, keep, groups):
        return right(model, shape, {k: sorted({0, 1, *v[2:]}) for k, v in keep.items()}, groups)

    monkeypatch.setattr(removal, "remove", wrong)
    with pytest.raises(HwflowError, match="differs from the masked one"):
        prune(trained, data, tmp_path, epochs=1, granularity="neuron", budget=QUARTER)


class Attentive(nn.Module):
    """A transformer's layer on the rows of an image."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.attention = nn.MultiheadAttention(32, 8, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(32), nn.LayerNorm(32)
        self.ffn1, self.ffn2 = nn.Linear(32, 64), nn.Linear(64, 32)
        self.head = nn.Linear(8 * 32, 10)

    def forward(self, x):
        x = self.embed(x.squeeze(1))
        x = self.norm1(x + self.attention(x, x, x, need_weights=False)[0])
        x = self.norm2(x + self.ffn2(torch.relu(self.ffn1(x))))
        return self.head(x.flatten(1))


@pytest.mark.parametrize("granularity", ["element", "n_of_m"])
def test_projections_in_attention_get_zeros_too(data, tmp_path, granularity):
    torch.manual_seed(0)
    settings = {"granularity": granularity, "freeze": ["norm."]}
    outcome = prune(Attentive(), data, tmp_path, epochs=2, fill_epochs=1, **settings)
    attention = outcome.model.attention
    for weight in (attention.in_proj_weight, attention.out_proj.weight):
        assert int(weight.count_nonzero()) == weight.numel() // 2
    assert outcome.metrics["density"] == pytest.approx(0.5)
    save_checkpoint(tmp_path, outcome)
    again = load_checkpoint(tmp_path, STAGE, Attentive(), settings_of(**settings)).model
    inputs = torch.rand(20, *data.shape)
    assert torch.equal(again(inputs), outcome.model(inputs))


@pytest.mark.parametrize("method", ["topk", "l0"])
def test_heads_and_neurons_of_a_transformer_are_pruned_in_one_stage(data, tmp_path, method):
    torch.manual_seed(0)
    regularizer = {"kind": "l0", "weight": 1e-3, "attention": 2.0}
    outcome = prune(
        Attentive(),
        data,
        tmp_path,
        epochs=8,
        fill_epochs=1,
        granularity="head",
        method=method,
        regularizer=regularizer,
        scores={"start": 0.0} if method == "topk" else {"start": -1.0, "learning_rate": 0.1},
        policies=[
            {"layers": "ffn1", "granularity": "neuron", "method": "topk", "budget": {"keep": 0.25}}
        ],
    )
    compact = outcome.model
    assert (compact.ffn1.out_features, compact.ffn2.in_features) == (16, 16)
    if method == "topk":
        assert compact.attention.num_heads == 4
    assert compact.attention.num_heads % 2 == 0  # Of four features each, in units of eight.
    assert outcome.metrics["test_accuracy"] > 0.7
    save_checkpoint(tmp_path, outcome)
    settings = settings_of(granularity="head")
    again = load_checkpoint(tmp_path, STAGE, Attentive(), settings).model
    inputs = torch.rand(20, *data.shape)
    assert torch.equal(again(inputs), compact(inputs))
