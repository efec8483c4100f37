"""Minifloats, and bits that are learned."""

import copy

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from hwflow import networks
from hwflow.compress import STAGES, StageContext
from hwflow.compress.quantize.learned_bits import mean_bits
from hwflow.compress.stage import accuracy
from hwflow.data import load
from hwflow.errors import RequestError
from hwflow.recipe import Digits, Mlp, Quantize, Train
from tests.compress.quantize.networks import SHAPE

# Exponent and mantissa bits; the greatest finite value: OCP's FP8 and microscaling formats.
FORMATS = {
    "e4m3": (4, 3, 448.0),
    "e5m2": (5, 2, 57344.0),
    "e3m2": (3, 2, 28.0),
    "e2m3": (2, 3, 7.5),
    "e2m1": (2, 1, 6.0),
}


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


@pytest.fixture(scope="module")
def network(data, tmp_path_factory):
    model = networks.build(Mlp(name="mlp", widths=(32, 24)), SHAPE, 10, 0)
    settings = Train(kind="train", epochs=6, learning_rate=5e-3)
    return STAGES["train"].run(model, settings, StageContext(data, 0, tmp_path_factory.mktemp("f")))


@pytest.fixture
def context(data, tmp_path):
    return StageContext(data, 0, tmp_path)


def run(network, context, **options):
    settings = Quantize(kind="quantize", **options)
    return STAGES["quantize"].run(network.model, settings, context).model


def linear(model):
    return [m for m in model.modules() if isinstance(m, nn.Linear)]


def minifloats(exponent, mantissa, greatest):
    """Every finite value of a format, by its definition."""
    bias = 2 ** (exponent - 1) - 1
    values = {0.0}
    for e in range(2**exponent):
        for m in range(2**mantissa):
            fraction = m / 2**mantissa
            value = 2.0 ** (1 - bias) * fraction if e == 0 else 2.0 ** (e - bias) * (1 + fraction)
            if value <= greatest:
                values |= {value, -value}
    return torch.tensor(sorted(values))


@pytest.mark.parametrize("name", FORMATS)
def test_minifloats_are_values_of_the_format(network, data, context, name):
    model = run(network, context, epochs=0, format=name, target="export")
    allowed = minifloats(*FORMATS[name])
    seen = []
    handle = linear(model)[1].register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    with torch.no_grad():
        model(torch.from_numpy(data.floats(data.test)))
    handle.remove()
    quantizer = next(m for m in model.modules() if type(m).__name__ == "QuantReLU").act_quant
    pairs = [(layer.quant_weight().value, layer.quant_weight().scale) for layer in linear(model)]
    for value, scale in [*pairs, (seen[0], quantizer.scale())]:
        codes = (value / scale).detach().flatten()
        off = (codes[:, None] - allowed).abs().amin(1)
        assert (off <= 1e-5 * codes.abs().clamp(min=1)).all()
        assert len(codes.unique()) > 5
    assert accuracy(model, data, data.test) >= network.metrics["test_accuracy"] - 0.03


def test_minifloats_can_be_trained_and_rounded(network, data, context):
    model = run(network, context, epochs=1, format="e2m1", target="export")
    assert accuracy(model, data, data.test) > 0.85
    rounded = run(
        network,
        context,
        epochs=0,
        format="e2m1",
        target="export",
        post_training={"rounding": "gptq"},
    )
    nearest = run(network, context, epochs=0, format="e2m1", target="export")
    assert any(
        not torch.equal(a.quant_weight().value, b.quant_weight().value)
        for a, b in zip(linear(rounded), linear(nearest), strict=True)
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"format": "e4m3"}, "e4m3 is for export only: set target: export"),
        ({"format": "e4m3", "target": "export", "weight_bits": 3}, "weight_bits is for integers"),
        (
            {"format": "e4m3", "target": "export", "post_training": {"rounding": "learned"}},
            "learned rounding is for integers",
        ),
        ({"format": "e4m3", "target": "export", "accumulator_bits": 16}, "are for integers"),
        ({"format": "fp8"}, "e4m3"),
        ({"accumulator_bits": 3}, "greater than or equal to 4"),
        ({"accumulator_bits": 16, "weight_bits": "ternary"}, "needs weights of 2 bits or more"),
        ({"accumulator_bits": 16, "post_training": {"rounding": "gptq"}}, "rounds weights itself"),
        ({"weight_bits": 1, "post_training": {"rounding": "learned"}}, "weights of 1 bit have"),
        ({"post_training": {"samples": 0}}, "greater than or equal to 1"),
        ({"post_training": {"percentile": 101}}, "less than or equal to 100"),
        ({"post_training": {"statistics": "mean"}}, "'percentile' or 'max'"),
        ({"post_training": {"rounding": "learned", "learning_rate": 0}}, "greater than 0"),
        ({"post_training": {"rounding": "adaround"}}, "'nearest', 'gptq' or 'learned'"),
        ({"learned_bits": {}, "epochs": 0}, "learned_bits needs training"),
        ({"learned_bits": {"minimum": 4}}, "starts above its minimum of 4"),
    ],
)
def test_what_can_not_be_is_refused(options, says):
    with pytest.raises(ValidationError, match=says):
        Quantize(kind="quantize", **options)


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(64, 10)

    def forward(self, x):
        x = x.squeeze(1)
        mixed, _ = self.mix(x, x, x)
        return self.last(torch.flatten(mixed, 1))


def test_gptq_of_attention_is_refused_and_learned_rounding_leaves_it(data, context):
    torch.manual_seed(0)
    options = {"kind": "quantize", "epochs": 0, "target": "export"}
    gptq = Quantize(**options, post_training={"rounding": "gptq"})
    with pytest.raises(RequestError, match="gptq can't round attention, which layer mix is"):
        STAGES["quantize"].check(Attentive(), gptq)
    learned = Quantize(**options, post_training={"rounding": "learned", "steps": 5, "samples": 50})
    STAGES["quantize"].check(Attentive(), learned)
    model = Attentive()
    last = copy.deepcopy(model.last.weight)
    made = STAGES["quantize"].run(model, learned, context).model
    assert torch.equal(made.mix.out_proj.weight, model.mix.out_proj.weight)
    assert not torch.equal(made.last.weight, last)


def test_learned_bits_fall_and_a_greater_penalty_makes_them_fewer(network, data, context):
    options = {"epochs": 6, "weight_bits": 6, "learning_rate": 2e-3}
    free, pressed = (
        run(network, context, **options, learned_bits={"penalty": p, "learning_rate": 0.05})
        for p in (1e-6, 1.0)
    )
    assert float(mean_bits(pressed)) < float(mean_bits(free)) <= 6
    for layer in linear(pressed):
        weight = layer.quant_weight()
        bits = float(weight.bit_width)
        assert bits == round(bits)
        assert 2 <= bits < 6
        assert (weight.value / weight.scale).abs().max() <= 2 ** (bits - 1)
    assert accuracy(pressed, data, data.test) > 0.8
