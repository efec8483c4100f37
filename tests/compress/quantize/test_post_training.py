"""Post-training quantization: each method lowers the error that it is for."""

import copy

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.nn.quant_layer import QuantNonLinearActLayer
from torch import nn
from torch.nn import functional

from hwflow import networks
from hwflow.compress import STAGES, StageContext
from hwflow.compress.quantize import quantize_network
from hwflow.compress.quantize.calibration import (
    apply_gptq,
    calibrate,
    correct_biases,
    post_train,
    samples,
)
from hwflow.compress.quantize.equalization import equalize
from hwflow.compress.quantize.learned_rounding import learn_rounding
from hwflow.compress.stage import accuracy
from hwflow.data import load
from hwflow.recipe import Digits, Mlp, Quantize, Train
from hwflow.recipe.stages.quantize import PostTraining
from tests.compress.quantize.networks import SHAPE, TAKEN, Residual, head, unit

pytestmark = pytest.mark.slow

INPUT = {"bits": 5, "signed": False, "limit": 1.0, "shape": SHAPE}


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def trained(model, data, folder, epochs=8):
    settings = Train(kind="train", epochs=epochs, learning_rate=5e-3)
    return STAGES["train"].run(model, settings, StageContext(data, 0, folder)).model


@pytest.fixture(scope="module")
def mlp(data, tmp_path_factory):
    network = networks.build(Mlp(name="mlp", widths=(32, 24)), SHAPE, 10, 0)
    return trained(network, data, tmp_path_factory.mktemp("mlp"))


@pytest.fixture(scope="module")
def cnn(data, tmp_path_factory):
    torch.manual_seed(0)
    layers = [*unit(1, 8), nn.MaxPool2d(2), *unit(8, 8, groups=8), *unit(8, 16, 1)]
    layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)]
    return trained(nn.Sequential(*layers), data, tmp_path_factory.mktemp("cnn"), 12)


@pytest.fixture(scope="module", params=["mlp", "cnn"])
def network(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def context(data, tmp_path):
    return StageContext(data, 0, tmp_path)


def quantize(post_training=None, **options):
    return Quantize(kind="quantize", epochs=0, post_training=post_training, **options)


def quantized(model, batches, post_training=None, **options):
    made = quantize_network(model, quantize(post_training, **options), INPUT)
    calibrate(made, batches)
    return made


def compute_layers(model):
    return [name for name, m in model.named_modules() if hasattr(m, "weight_quant")]


def outputs(model, name, batches):
    """What a layer makes of samples."""
    seen = []
    layer = model.get_submodule(name)
    hook = layer.register_forward_hook(lambda m, args, out: seen.append(getattr(out, "value", out)))
    with torch.inference_mode():
        for batch in batches:
            model(batch)
    hook.remove()
    return torch.cat(seen)


def error(model, name, batches, wanted):
    return float(functional.mse_loss(outputs(model, name, batches), wanted))


# ------------------------------------------------------------------------------- calibration


@pytest.mark.parametrize("options", [{"statistics": "max"}, {"percentile": 90}])
def test_scales_of_activations_come_from_training_data(cnn, data, options):
    settings = PostTraining(samples=500, **options)
    batches = samples(data, settings.samples, 0)
    made = quantized(cnn, batches, settings, activation_bits=4)
    relu = next(m for m in made.modules() if type(m).__name__ == "QuantReLU")
    with torch.inference_mode():
        seen = [torch.relu(cnn[1](cnn[0](batch))).flatten() for batch in batches]
    if "percentile" in options:
        reaches = [
            values.kthvalue(int(np.floor(0.9 * len(values) + 0.5))).values for values in seen
        ]
    else:
        reaches = [values.max() for values in seen]
    wanted = float(sum(reaches)) / len(reaches) / 15
    assert float(relu.act_quant.scale()) == pytest.approx(wanted, rel=0.02)


def test_every_activation_is_calibrated(data):
    torch.manual_seed(0)
    batches = samples(data, 300, 0)
    made = quantized(Residual().eval(), batches)
    fresh = quantize_network(Residual().eval(), quantize(), INPUT).eval()
    scales = [
        (float(m.act_quant.scale()), float(fresh.get_submodule(name).act_quant.scale()))
        for name, m in made.named_modules()
        if isinstance(m, QuantNonLinearActLayer) and name != "input_quantizer"
    ]
    assert len(scales) > 5
    assert all(got != before for got, before in scales)


def test_samples_are_of_the_training_split_and_chosen_by_the_seed(data):
    first, again, other = (torch.cat(samples(data, 300, seed)) for seed in (0, 0, 1))
    assert first.shape == (300, *SHAPE)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    known = {row.tobytes() for row in data.floats(data.train)}
    assert all(row.numpy().tobytes() in known for row in first)
    assert len(torch.cat(samples(data, 10**6, 0))) == len(data.train)


# ---------------------------------------------------------------------------------- rounding


def weights_alone(model, name, batches):
    """What a layer would make of its quantized inputs without its weights quantized."""
    own = copy.deepcopy(model)
    layer = own.get_submodule(name)
    layer.weight_quant.disable_quant = layer.bias_quant.disable_quant = True
    return outputs(own, name, batches)


def with_weights_of(model, other, name):
    """The network with one layer's weights from another."""
    mixed = copy.deepcopy(model)
    mixed.get_submodule(name).weight.data.copy_(other.get_submodule(name).weight)
    return mixed


@pytest.mark.parametrize("bits", [2, 3])
def test_gptq_lowers_the_error_of_every_layers_output(network, data, bits):
    batches = samples(data, 512, 0)
    settings = PostTraining(rounding="gptq")
    nearest = quantized(network, batches, settings, weight_bits=bits)
    made = copy.deepcopy(nearest)
    apply_gptq(made, batches)
    errors = []
    for name in compute_layers(made):
        # Both see the same inputs; the layers differ only in how their weights are rounded.
        mixed = with_weights_of(made, nearest, name)
        wanted = weights_alone(mixed, name, batches)
        errors.append([error(model, name, batches, wanted) for model in (mixed, made)])
    assert all(after < 0.95 * before for before, after in errors), errors


@pytest.mark.parametrize("bits", [2, 3])
def test_learned_rounding_lowers_the_error_of_every_layers_output(network, data, context, bits):
    batches = samples(data, 256, 0)
    settings = PostTraining(rounding="learned", steps=200)
    nearest = quantized(network, batches, settings, weight_bits=bits)
    made = copy.deepcopy(nearest)
    learn_rounding(made, network, batches, settings, context)
    errors = []
    for name in compute_layers(made):
        mixed = with_weights_of(made, nearest, name)
        wanted = outputs(network, name, batches)
        errors.append([error(model, name, batches, wanted) for model in (mixed, made)])
    assert all(after < 0.95 * before for before, after in errors), errors
    last = compute_layers(made)[-1]
    assert error(made, last, batches, wanted) < 0.8 * error(nearest, last, batches, wanted)


def test_learned_codes_are_one_of_the_two_nearest(cnn, data, context):
    settings = PostTraining(rounding="learned", steps=100)
    batches = samples(data, 256, 0)
    nearest = quantized(cnn, batches, settings, weight_bits=3, weight_scaling="per_channel")
    made = copy.deepcopy(nearest)
    learn_rounding(made, cnn, batches, settings, context)
    moved = 0
    for name in compute_layers(made):
        before, after = nearest.get_submodule(name), made.get_submodule(name)
        weight = after.quant_weight()
        assert torch.equal(weight.scale, before.quant_weight().scale)
        assert torch.allclose(weight.value, after.weight, atol=1e-6)
        codes = torch.round(weight.value / weight.scale)
        below = torch.floor(before.weight / weight.scale)
        assert ((codes == below) | (codes == below + 1) | (codes.abs() == 3)).all()
        moved += int((weight.value != before.quant_weight().value).sum())
    assert moved > 10


def test_a_transposed_convolution_learns_to_round(data, context):
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(4, 4, 2, stride=2)
    model = nn.Sequential(*unit(1, 4), nn.MaxPool2d(2), up, nn.ReLU(), *head(4)).eval()
    settings = PostTraining(rounding="learned", steps=200)
    batches = samples(data, 128, 0)
    nearest = quantized(model, batches, settings, weight_bits=2, target="export")
    made = copy.deepcopy(nearest)
    learn_rounding(made, model, batches, settings, context)
    wanted = outputs(model, "4", batches)
    assert error(made, "4", batches, wanted) < 0.95 * error(nearest, "4", batches, wanted)


# ------------------------------------------------------------------------------ equalization


class Relu6(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3)
        self.last = nn.Sequential(*head(8))

    def forward(self, x):
        x = torch.relu(self.second(functional.relu6(self.first(x))))
        return self.last(x)


def uneven(model):
    """Give a network's channels ranges that differ by orders of magnitude."""
    torch.manual_seed(1)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.running_mean.uniform_(-1, 1)
                layer.running_var.uniform_(0.5, 2)
                layer.weight.uniform_(0.1, 3)
                layer.bias.uniform_(-1, 1)
            elif isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
                factors = torch.logspace(-1, 1, layer.weight.shape[0])
                layer.weight *= factors.reshape(-1, *[1] * (layer.weight.ndim - 1))
    return model.eval()


@pytest.mark.parametrize("name", [*TAKEN, "relu6"])
def test_equalization_leaves_the_function_as_it_is(name):
    model = uneven(Relu6() if name == "relu6" else TAKEN[name]())
    before = copy.deepcopy(model.state_dict())
    inputs = torch.rand(64, *SHAPE) * 3
    with torch.inference_mode():
        wanted = model(inputs)
        got = equalize(model).eval()(inputs)
    assert float((wanted - got).abs().max()) <= 1e-5 * max(1.0, float(wanted.abs().max()))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def spread(mlp):
    """The network with the channels of its hidden layers scaled apart: the same function."""
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 10)
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for first, second in ((1, 3), (3, 5)):
            scales = torch.logspace(-1.5, 1.5, network[first].out_features)
            network[first].weight *= scales[:, None]
            network[first].bias *= scales
            network[second].weight /= scales
    return network.eval()


def test_equalization_saves_a_network_with_uneven_channels(mlp, data):
    model = spread(mlp)
    batches = samples(data, 512, 0)
    equal = equalize(model)
    options = {"weight_bits": 6, "activation_bits": 8}
    with torch.inference_mode():
        wanted = torch.cat([model(batch) for batch in batches])
    name = compute_layers(quantized(model, batches, **options))[-1]
    uneven_error, equal_error = (
        error(quantized(m, batches, **options), name, batches, wanted) for m in (model, equal)
    )
    assert equal_error < 0.1 * uneven_error
    ranges = [layer.weight.abs().amax(1) for layer in (model[3], equal[3])]
    assert ranges[1].max() / ranges[1].min() < 0.2 * ranges[0].max() / ranges[0].min()


# --------------------------------------------------------------------------- bias correction


def half_step(model, name, batches):
    """Half of what the integer bias of the last layer is a multiple of; 0 of other layers."""
    layer = model.get_submodule(name)
    if not (hasattr(layer, "bias_quant") and layer.bias_quant.is_quant_enabled):
        return 0.0
    steps = outputs(model, name, batches).unique().diff()
    return 0.51 * float(steps[steps > 1e-4].min())


def mean_of(values):
    return values.double().mean([axis for axis in range(values.ndim) if axis != 1])


def test_bias_correction_takes_out_the_mean_shift_of_every_layer(network, data):
    batches = samples(data, 600, 0)
    made = quantized(network, batches, weight_bits=2)
    keys = made.state_dict().keys()
    corrected = copy.deepcopy(made)
    correct_biases(corrected, network, batches)
    assert corrected.state_dict().keys() == keys
    for name in compute_layers(made):
        if made.get_submodule(name).bias is None:  # The batch norm behind takes the mean out.
            name = str(int(name) + 1)
        wanted = mean_of(outputs(network, name, batches))
        before, after = (
            (mean_of(outputs(model, name, batches)) - wanted).abs().max()
            for model in (made, corrected)
        )
        assert after < max(0.01 * before, half_step(made, name, batches)), name


def test_a_layer_with_neither_bias_nor_norm_gets_no_bias(data):
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(64, 16, bias=False), nn.ReLU(), nn.Linear(16, 10)]
    model = nn.Sequential(*layers).eval()
    batches = samples(data, 100, 0)
    made = quantized(model, batches, weight_bits=2)
    before = made.get_submodule("3").bias.clone()
    correct_biases(made, model, batches)
    assert made.get_submodule("1").bias is None
    assert not torch.equal(made.get_submodule("3").bias, before)


def test_one_bit_activations_are_compared_with_the_float_networks_relu(mlp, data):
    batches = samples(data, 300, 0)
    made = quantized(mlp, batches, weight_bits=1, activation_bits=1)
    correct_biases(made, mlp, batches)
    last = compute_layers(made)[-1]
    wanted = mean_of(outputs(mlp, last, batches))
    left = (mean_of(outputs(made, last, batches)) - wanted).abs().max()
    assert left < half_step(made, last, batches)


# ------------------------------------------------------------------------------ the whole stage


@pytest.mark.parametrize("rounding", ["nearest", "gptq", "learned"])
def test_eight_bits_lose_little(network, data, context, rounding):
    post_training = PostTraining(rounding=rounding, steps=50, samples=400, equalize=True)
    settings = quantize(post_training, weight_bits=8, activation_bits=8)
    outcome = STAGES["quantize"].run(network, settings, context)
    wanted = accuracy(network, data, data.test)
    assert outcome.metrics["test_accuracy"] >= wanted - 0.01
    assert outcome.metrics["test_accuracy"] > 0.8


def test_the_methods_pay_at_few_bits(cnn, context):
    plain = PostTraining(bias_correction=False, samples=600)
    every = PostTraining(equalize=True, rounding="gptq", samples=600)
    found = [
        STAGES["quantize"].run(cnn, quantize(p, weight_bits=3), context).metrics["test_accuracy"]
        for p in (plain, every)
    ]
    assert found[1] > found[0]


@pytest.mark.parametrize("rounding", ["gptq", "learned"])
def test_the_same_seed_gives_the_same_bits(mlp, context, rounding):
    post_training = PostTraining(rounding=rounding, steps=50, samples=300, equalize=True)
    settings = quantize(post_training, weight_bits=3)
    first, second = (STAGES["quantize"].run(mlp, settings, context).model for _ in range(2))
    assert all(
        torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items()
    )


def test_methods_run_before_training_too(mlp, data, context):
    post_training = PostTraining(rounding="gptq", samples=300)
    settings = Quantize(
        kind="quantize", epochs=1, weight_bits=3, post_training=post_training, learning_rate=1e-12
    )
    outcome = STAGES["quantize"].run(mlp, settings, context)
    untrained = STAGES["quantize"].run(mlp, settings.model_copy(update={"epochs": 0}), context)
    names = [n for n, _ in outcome.model.named_parameters() if n.endswith("weight")]
    assert names
    for name in names:
        assert torch.allclose(
            outcome.model.get_parameter(name), untrained.model.get_parameter(name), atol=1e-6
        )


def test_progress_is_told(mlp, data, tmp_path):
    said = []
    context = StageContext(data, 0, tmp_path, note=lambda text, fraction: said.append(text))
    settings = PostTraining(rounding="learned", steps=1, samples=100)
    post_train(quantize_network(mlp, quantize(settings), INPUT), mlp, settings, context)
    assert said[0] == "calibrating"
    assert sum(text.startswith("learning to round ") for text in said) == 3
    assert said[-1] == "correcting biases"


def brevitas_network():
    return nn.Sequential(
        nn.Flatten(),
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantLinear(64, 16, bias=False, weight_bit_width=4),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        qnn.QuantLinear(16, 10, bias=False, weight_bit_width=4),
    )


def test_a_network_that_was_trained_quantized_is_taken_as_it_is(data, context):
    torch.manual_seed(1)
    first = trained(brevitas_network(), data, context.folder)
    network = brevitas_network()
    network.load_state_dict(first.state_dict())
    inputs = torch.from_numpy(data.floats(data.test))
    wanted = network.eval()(inputs)
    outcome = STAGES["quantize"].run(network, quantize(), context)
    assert torch.equal(outcome.model(inputs), wanted)


def test_one_that_has_seen_no_data_is_calibrated(data, context):
    torch.manual_seed(1)
    network = brevitas_network()
    before = network.eval()(torch.from_numpy(data.floats(data.test)))
    outcome = STAGES["quantize"].run(network, quantize(), context)
    after = outcome.model(torch.from_numpy(data.floats(data.test)))
    assert not torch.allclose(before, after)
