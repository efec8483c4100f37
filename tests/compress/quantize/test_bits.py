"""Stage `quantize`: weights and activations really have the bits that were asked for."""

import numpy as np
import pytest
import torch
from torch import nn

from hwflow import networks
from hwflow.compress import STAGES, StageContext, load_checkpoint, save_checkpoint
from hwflow.compress.quantize import quantize_network
from hwflow.data import load
from hwflow.errors import HwflowError, RequestError
from hwflow.recipe import Digits, Mlp, Quantize, Train

DIGITS = Digits(name="digits")
NETWORK = Mlp(name="mlp", widths=(16, 12))
INPUT = {"bits": 5, "signed": False, "limit": 1.0}


@pytest.fixture(scope="module")
def data():
    return load(DIGITS, 0)


def network(seed=0):
    return networks.build(NETWORK, (1, 8, 8), 10, seed)


def quantize(**settings):
    return Quantize(kind="quantize", epochs=0, **settings)


def linear_weights(model):
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return [layer.quant_weight() for layer in layers]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 8, "ternary"])
@pytest.mark.parametrize("scaling", ["per_tensor", "per_channel"])
@pytest.mark.parametrize("scale", ["float", "power_of_two"])
def test_weights_are_integers_of_the_bits_times_a_scale(bits, scaling, scale):
    settings = quantize(weight_bits=bits, weight_scaling=scaling, scale=scale)
    model = quantize_network(network(), settings, INPUT).eval()
    model(torch.rand(4, 1, 8, 8))
    for number, weight in enumerate(linear_weights(model)):
        last = number == 2
        assert weight.scale.numel() == (1 if scaling == "per_tensor" or last else len(weight.value))
        codes = (weight.value / weight.scale).detach().numpy()
        assert np.allclose(codes, np.rint(codes), atol=1e-4)
        limit = {1: 1, "ternary": 1}.get(bits) or 2 ** (bits - 1)
        assert np.abs(codes).max() <= limit + 1e-4
        if bits == 1:
            assert set(np.unique(np.rint(codes))) <= {-1.0, 1.0}
        if scale == "power_of_two":
            logs = np.log2(weight.scale.detach().numpy())
            assert np.allclose(logs, np.rint(logs), atol=1e-5)


@pytest.mark.parametrize("bits", range(1, 9))
def test_activations_take_no_more_values_than_the_bits_have(bits):
    model = quantize_network(network(), quantize(activation_bits=bits), INPUT).eval()
    seen = []
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    layers[2].register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    model(torch.rand(500, 1, 8, 8))
    values = getattr(seen[0], "value", seen[0]).detach().numpy()
    assert 1 < len(np.unique(values)) <= 2**bits


def test_the_float_networks_values_are_kept():
    model = network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    quantized = quantize_network(model, quantize(weight_bits=8, activation_bits=8), INPUT)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    inputs = torch.rand(200, 1, 8, 8)
    wanted, got = model.eval()(inputs), quantized.eval()(inputs)
    assert (wanted.argmax(1) == got.argmax(1)).float().mean() > 0.8


class Sigmoid(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat, self.first = nn.Flatten(), nn.Linear(64, 8)
        self.squash, self.last = nn.Sigmoid(), nn.Linear(8, 10)

    def forward(self, x):
        return self.last(self.squash(self.first(self.flat(x))))


class Branching(Sigmoid):
    def forward(self, x):
        x = self.flat(x)
        return self.last(self.first(x)) if x.sum() > 0 else self.last(self.first(-x))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Branching, "can't be traced"),
        (nn.Flatten, "no linear layer"),
    ],
)
def test_what_can_not_be_quantized_for_hardware_is_named(kind, says):
    with pytest.raises(RequestError, match=says) as caught:
        STAGES["quantize"].check(kind(), quantize())
    assert caught.value.hint


def test_a_stage_is_rebuilt_from_its_checkpoint_bit_for_bit(data, tmp_path):
    settings = Quantize(kind="quantize", epochs=1, weight_bits=3, activation_bits=2)
    stage = STAGES["quantize"]
    outcome = stage.run(network(), settings, StageContext(data, 0, tmp_path))
    save_checkpoint(tmp_path, outcome)
    again = load_checkpoint(tmp_path, stage, network(seed=5), settings)
    inputs = torch.from_numpy(data.floats(data.test))
    assert torch.equal(outcome.model(inputs), again.model(inputs))
    assert again.metrics == outcome.metrics


def test_a_damaged_checkpoint_is_named(data, tmp_path):
    settings = Train(kind="train", epochs=0)
    stage = STAGES["train"]
    save_checkpoint(tmp_path, stage.run(network(), settings, StageContext(data, 0, tmp_path)))
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(HwflowError, match="can't be loaded"):
        load_checkpoint(tmp_path, stage, network(), settings)
