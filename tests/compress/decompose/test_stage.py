"""Stage `decompose` from end to end on digits, its checkpoint, and its error messages."""

import copy
import json

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from hwflow.compress import STAGES, StageContext, Untrained, load_checkpoint, save_checkpoint
from hwflow.costs import Target, network_costs
from hwflow.data import load
from hwflow.errors import RequestError
from hwflow.recipe import Decompose, Digits, Quantize, Train

STAGE = STAGES["decompose"]


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        nn.Conv2d(16, 32, 1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    context = StageContext(data, 0, tmp_path_factory.mktemp("train"))
    settings = Train(kind="train", epochs=3, learning_rate=3e-3, batch_size=50)
    return STAGES["train"].run(network(), settings, context)


def decompose(**settings):
    return Decompose(kind="decompose", **settings)


HARD = {"ranks": {"by": "hardware", "keep": 0.35}, "method": "tucker2"}


def test_from_a_trained_network_to_a_smaller_one_as_good(data, trained, tmp_path):
    told = []
    context = StageContext(data, 0, tmp_path, lambda text, fraction: told.append(text))
    before = copy.deepcopy(trained.model.state_dict())
    outcome = STAGE.run(trained.model, decompose(epochs=2, **HARD), context)
    assert all(torch.equal(v, trained.model.state_dict()[k]) for k, v in before.items())
    assert set(outcome.structure["layers"]) == {"7", "11"}
    assert outcome.structure["left"]["3"] == "a grouped convolution"
    assert outcome.structure["left"]["4"] == "svd: no rank keeps the budget"
    costs = [network_costs(model, data.shape) for model in (trained.model, outcome.model)]
    assert costs[1].macs < 0.5 * costs[0].macs
    assert costs[1].params < 0.5 * costs[0].params
    assert outcome.metrics["test_accuracy"] > trained.metrics["test_accuracy"] - 0.03
    assert outcome.metrics["decomposed_layers"] == 2
    assert any(text.startswith("7: tucker2, rank ") for text in told)
    assert any(text == "refitting 11" for text in told)
    assert any(text.startswith("epoch 2 of 2") for text in told)
    types = {type(m) for m in outcome.model.modules()}
    assert types <= {nn.Sequential, *(type(m) for m in network().modules())}


def test_a_checkpoint_is_rebuilt_bit_for_bit(data, trained, tmp_path):
    settings = decompose(epochs=1, error=0.6, unit=4)
    outcome = STAGE.run(trained.model, settings, StageContext(data, 0, tmp_path))
    save_checkpoint(tmp_path, outcome)
    again = load_checkpoint(tmp_path, STAGE, network(seed=5), settings)
    inputs = torch.from_numpy(data.floats(data.test))
    assert torch.equal(outcome.model(inputs), again.model(inputs))
    assert again.metrics == outcome.metrics
    assert json.loads(json.dumps(outcome.structure)) == outcome.structure
    shapes = [tuple(p.shape) for p in again.model.parameters()]
    assert shapes == [tuple(p.shape) for p in outcome.model.parameters()]


def test_the_same_seed_gives_the_same_bits(data, trained, tmp_path):
    settings = decompose(epochs=1, method="cp", ranks={"by": "hardware", "keep": 0.4})
    states = [
        STAGE.run(trained.model, settings, StageContext(data, 0, tmp_path / str(n)))
        for n in range(2)
    ]
    first, again = (outcome.model.state_dict() for outcome in states)
    assert all(torch.equal(value, again[key]) for key, value in first.items())


def test_refit_and_recalibration_save_accuracy_before_any_training(data, trained, tmp_path):
    found = {}
    for on in (False, True):
        settings = decompose(
            epochs=0, refit=on, recalibrate=on, method="tucker2", ranks={"by": "vbmf"}
        )
        outcome = STAGE.run(trained.model, settings, StageContext(data, 0, tmp_path))
        found[on] = outcome.metrics["validation_accuracy_before_training"]
        assert found[on] == outcome.metrics["validation_accuracy"]
    assert found[True] > found[False] + 0.05


def test_policies_of_layers_come_before_the_stages_own(data, trained, tmp_path):
    settings = decompose(
        epochs=0,
        method="none",
        policies=[
            {"layers": "7", "method": "cp", "ranks": {"by": "given", "rank": 16}},
            {"layers": r"\d+", "method": "svd", "ranks": {"by": "given", "rank": 8}},
        ],
    )
    outcome = STAGE.run(trained.model, settings, StageContext(data, 0, tmp_path))
    made = {k: (v["method"], v["ranks"]) for k, v in outcome.structure["layers"].items()}
    assert made == {"7": ("cp", [16]), "4": ("svd", [8]), "11": ("svd", [8]), "13": ("svd", [8])}
    assert outcome.structure["left"]["0"].startswith("svd takes matrices")


class Odd(nn.Module):
    """Layers that can't be replaced: shared, used by attention, never called."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.tied = nn.Linear(64, 64)
        self.tied.weight = self.first.weight
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.unused = nn.Linear(64, 64)
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        x = self.tied(self.first(x.flatten(1)))[:, None]
        return self.last(self.attention(x, x, x)[0][:, 0])


def test_layers_whose_weight_others_use_stay_and_the_reason_is_kept(data, tmp_path):
    settings = decompose(epochs=0, method="svd", ranks={"by": "given", "rank": 8})
    outcome = STAGE.run(Odd(), settings, StageContext(data, 0, tmp_path))
    left = outcome.structure["left"]
    assert set(outcome.structure["layers"]) == {"last"}
    assert left["first"] == left["tied"] == "shares its weight with another place"
    assert "NonDynamicallyQuantizableLinear" in left["attention.out_proj"]
    assert left["unused"] == "the network's forward does not call it"


# ---------------------------------------------------------------------------------- bad input


def wrong(model, **settings):
    with pytest.raises(RequestError) as caught:
        STAGE.check(model, decompose(**settings))
    assert caught.value.hint
    return str(caught.value)


def test_a_pattern_that_matches_no_layer_offers_the_nearest():
    model = nn.Sequential()
    model.features = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))
    model.classifier = nn.Linear(8, 8)
    text = wrong(model, policies=[{"layers": "clasifier", "method": "svd"}])
    assert "policies.0.layers: 'clasifier' matches no layer" in text
    assert "did you mean 'classifier'?" in text
    text = wrong(model, policies=[{"layers": "feature"}])
    assert "features.0" in text


def test_later_stages_are_checked_against_the_factors_that_will_be_there():
    settings = decompose(method="tucker2", policies=[{"layers": "1[13]", "method": "none"}])
    samples = load(Digits(name="digits"), 0)
    untrained = STAGE.expected(Untrained(network()), settings, samples, Target())
    assert not untrained.sized
    expected = untrained.model
    names = {name for name, m in expected.named_modules() if isinstance(m, nn.Conv2d)}
    assert names == {"0.0", "0.1", "0.2", "3", "4.0", "4.1", "7.0", "7.1", "7.2"}
    quantize = STAGES["quantize"]
    for pattern in ("4.1", "4"):
        policies = [{"layers": pattern, "weight_bits": 2}]
        quantize.check(expected, Quantize(kind="quantize", policies=policies), (1, 8, 8))
    absent = Quantize(kind="quantize", policies=[{"layers": "5.1", "weight_bits": 2}])
    with pytest.raises(RequestError, match=r"'5\.1' matches no layer"):
        quantize.check(expected, absent, (1, 8, 8))


@pytest.mark.parametrize(
    ("method", "rank", "says"),
    [
        ("tucker2", 24, "4: rank 24 is above what 16 input and 32 output channels allow svd: 16"),
        ("tucker2", [16, 33], "4: rank 33 is above"),
        ("svd", 17, "4: rank 17 is above what 16 input and 32 output channels allow svd: 16"),
    ],
)
def test_a_rank_above_the_channels_is_refused(method, rank, says):
    policies = [{"layers": "0|7", "method": "none"}]
    rule = {"by": "given", "rank": rank}
    text = wrong(network(), method=method, ranks=rule, policies=policies)
    assert says.split(":")[0] in text
    assert "is above what" in text


@pytest.mark.parametrize(
    ("method", "rank", "most"),
    [
        ("tucker2", [33, 8], "32, 32"),
        ("tucker_in", 33, "32"),
        ("tucker_out", 40, "32"),
        ("cp", 289, "288"),
    ],
)
def test_each_method_says_what_it_can_have(method, rank, most):
    policies = [{"layers": "7", "method": method, "ranks": {"by": "given", "rank": rank}}]
    text = wrong(network(), method="none", policies=policies)
    assert f"7: rank {rank if isinstance(rank, int) else '33, 8'} is above what" in text
    assert f"allow {method}: {most}" in text


def test_a_unit_that_divides_nothing_is_refused():
    text = wrong(network(), unit=7)
    assert "unit 7 divides no layer's channels (1, 10, 16, 32, 64, 512)" in text
    assert "such as 8" in text
    STAGE.check(network(), decompose(unit=5))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (nn.Flatten, "there is no linear layer"),
        (lambda: nn.Sequential(nn.Conv2d(8, 8, 3, groups=8)), "0: a grouped convolution"),
        (lambda: nn.Linear(8, 8), "is the whole network"),
    ],
)
def test_a_network_with_nothing_to_decompose_is_refused(make, says):
    assert says in wrong(make())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"method": "tucker3"}, "tucker2"),
        ({"ranks": {"by": "given", "rank": 8}}, "need a method other than auto"),
        ({"ranks": {"by": "given", "rank": [8, 8]}, "method": "cp"}, "two ranks are for tucker2"),
        ({"ranks": {"by": "given", "rank": [8, 8, 8]}, "method": "tucker2"}, "give one rank"),
        ({"ranks": {"by": "given", "rank": 0}, "method": "svd"}, "greater than or equal to 1"),
        ({"ranks": {"by": "hardware", "keep": 1}}, "less than 1"),
        ({"ranks": {"by": "vbmf", "minimum": 0}}, "greater than or equal to 1"),
        ({"error": 0.1, "method": "svd", "ranks": {"by": "vbmf"}}, "error is read only where"),
        ({"error": 1.0}, "less than 1"),
        ({"method": "none", "cost": "lut"}, "method none reads no"),
        ({"policies": [{"layers": "("}]}, "not a regular expression"),
        ({"unit": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_can_not_be_are_refused(settings, says):
    with pytest.raises(ValidationError, match=says):
        decompose(**settings)
