"""Calibration without training: each method lowers the error that it says it lowers."""

import copy

import pytest
import torch
from brevitas.graph.calibrate import quantization_status_manager
from torch import nn

from hwflow.compress import STAGES, StageContext
from hwflow.compress.quantize import quantize_network
from hwflow.compress.quantize.calibration import apply_gptq, calibrate, correct_biases, samples
from hwflow.compress.quantize.equalization import equalize
from hwflow.compress.quantize.learned_rounding import learn_rounding
from hwflow.data import load
from hwflow.recipe import Digits, Quantize, Train
from hwflow.recipe.quantize import PostTraining
from tests.compress.quantize.networks import SHAPE, TAKEN, Residual, head, unit

INPUT = {"bits": 5, "signed": False, "limit": 31 / 16, "shape": SHAPE}


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


@pytest.fixture(scope="module")
def batches(data):
    return samples(data, 256, 0)


def settings(**options):
    return Quantize(kind="quantize", epochs=0, **options)


def float_output(model, name, batch):
    """What the float network makes in a layer."""
    with quantization_status_manager(
        model,
        disable_act_quant=True,
        disable_weight_quant=True,
        disable_bias_quant=True,
        is_training=False,
    ):
        return layer_output(model, name, batch)


def layer_output(model, name, batch):
    made = []
    hook = model.get_submodule(name).register_forward_hook(lambda m, a, out: made.append(out))
    with torch.no_grad():
        model(batch)
    hook.remove()
    return getattr(made[0], "value", made[0])


def small():
    torch.manual_seed(0)
    model = nn.Sequential(*unit(1, 12), *unit(12, 12, groups=12), *unit(12, 16), *head(16))
    model(torch.rand(64, *SHAPE))
    return model.eval()


LAYERS = ["0", "3", "6", "11"]


@pytest.mark.parametrize("method", ["gptq", "learned"])
@pytest.mark.parametrize("scaling", ["per_tensor", "per_channel"])
def test_other_roundings_bring_every_layer_nearer_to_the_float_one(
    data, batches, tmp_path, method, scaling
):
    options = settings(
        weight_bits=3,
        activation_bits=8,
        weight_scaling=scaling,
        post_training={"rounding": method, "steps": 300},
    )
    model = quantize_network(small(), options, INPUT)
    calibrate(model, batches)
    wanted = {name: float_output(model, name, batches[0]) for name in LAYERS}
    nearest = {name: layer_output(model, name, batches[0]) for name in LAYERS}
    scales = {name: model.get_submodule(name).quant_weight().scale.clone() for name in LAYERS}
    if method == "gptq":
        apply_gptq(model, batches)
    else:
        learn_rounding(model, batches, options.post_training, StageContext(data, 0, tmp_path))
    for name in LAYERS:
        moved = layer_output(model, name, batches[0])
        before, after = ((made - wanted[name]).square().mean() for made in (nearest[name], moved))
        assert after < 0.9 * before, name
        weight = model.get_submodule(name).quant_weight()
        assert torch.equal(weight.scale, scales[name])
        codes = weight.value / weight.scale
        assert torch.allclose(codes, codes.round(), atol=1e-3)
        assert codes.abs().max() <= 3 + 1e-3


def unequal():
    """A network whose channels span ranges that one scale can't hold."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 10)
    )
    factors = torch.logspace(-2, 2, 16)
    with torch.no_grad():
        model[1].weight *= factors[:, None]
        model[1].bias *= factors
        model[4].weight /= factors
    return model.eval()


def test_equalization_keeps_the_network_and_saves_its_quantized_one(batches):
    model = unequal()
    equal = equalize(model)
    wanted = model(batches[0])
    assert torch.allclose(equal(batches[0]), wanted, rtol=1e-3, atol=1e-4)
    errors = []
    for network in (model, equal):
        options = settings(weight_bits=4, activation_bits=8)
        quantized = quantize_network(network, options, INPUT)
        calibrate(quantized, batches)
        errors.append((quantized(batches[0]) - wanted).square().mean())
    assert errors[1] < 0.1 * errors[0]


@pytest.mark.parametrize("name", TAKEN)
def test_equalization_changes_no_value_of_any_network(batches, name):
    torch.manual_seed(0)
    model = TAKEN[name]()
    model(batches[0])
    model.eval()
    with torch.no_grad():
        wanted, got = model(batches[0]), equalize(model)(batches[0])
    assert torch.allclose(got, wanted, rtol=1e-3, atol=1e-4)


class Biased(nn.Module):
    """Weights that are rounded to zero, on inputs that are never negative: every output is low."""

    def __init__(self, norm):
        super().__init__()
        torch.manual_seed(0)
        self.flat, self.first = nn.Flatten(), nn.Linear(64, 8, bias=not norm)
        self.norm = nn.BatchNorm1d(8) if norm else nn.Identity()
        self.relu, self.last = nn.ReLU(), nn.Linear(8, 10)
        with torch.no_grad():
            self.first.weight.fill_(0.06)
            self.first.weight[:, :4] = 1.0

    def forward(self, x):
        return self.last(self.relu(self.norm(self.first(self.flat(x)))))


@pytest.mark.parametrize("norm", [False, True])
def test_bias_correction_takes_the_mean_error_out(batches, norm):
    model = Biased(norm).eval()
    quantized = quantize_network(model, settings(weight_bits=4, activation_bits=8), INPUT)
    calibrate(quantized, batches)
    place = "norm" if norm else "first"
    wanted = float_output(quantized, place, batches[0]).mean(0)
    before = (layer_output(quantized, place, batches[0]).mean(0) - wanted).abs().max()
    correct_biases(quantized, batches)
    after = (layer_output(quantized, place, batches[0]).mean(0) - wanted).abs().max()
    assert after < 0.02 * before
    assert (quantized.first.bias is None) == norm  # Hardware gets no more to add.


def test_layers_with_neither_bias_nor_norm_get_none(batches):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=False), nn.ReLU(), nn.Linear(8, 10))
    quantized = quantize_network(model, settings(), INPUT)
    calibrate(quantized, batches)
    keys = set(quantized.state_dict())
    correct_biases(quantized, batches)
    assert set(quantized.state_dict()) == keys


def test_zero_epochs_calibrate_a_trained_network(data, tmp_path):
    torch.manual_seed(0)
    training = Train(kind="train", epochs=6, batch_size=50, learning_rate=0.01)
    (tmp_path / "train").mkdir()
    context = StageContext(data, 0, tmp_path / "train")
    model = STAGES["train"].run(Residual(), training, context).model
    test = torch.from_numpy(data.floats(data.test))
    with torch.no_grad():
        right = (model(test).argmax(1).numpy() == data.test.labels).mean()
    before = copy.deepcopy(model.state_dict())
    options = settings(weight_bits=6, activation_bits=6, weight_scaling="per_channel")
    outcome = STAGES["quantize"].run(model, options, StageContext(data, 0, tmp_path))
    assert right > 0.9
    assert outcome.metrics["test_accuracy"] > right - 0.03
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_samples_are_chosen_by_the_seed(data):
    first, again, other = (torch.cat(samples(data, 300, seed)) for seed in (1, 1, 2))
    assert first.shape == (300, *SHAPE)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(torch.cat(samples(data, 10**6, 0))) == len(data.train)


def test_defaults_without_training_are_calibration_and_bias_correction():
    assert PostTraining().bias_correction
    assert not PostTraining().equalize
    assert PostTraining().rounding == "nearest"
