"""Mixed precision by patterns, formats, learned bits; and what can't be asked for."""

import pytest
import torch
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from pydantic import ValidationError
from torch import nn

from hwflow.compress import STAGES, StageContext, load_checkpoint, save_checkpoint
from hwflow.compress.quantize import quantize_network
from hwflow.compress.quantize.learned_bits import mean_bits
from hwflow.costs import layer_shapes, network_costs
from hwflow.data import load
from hwflow.errors import RequestError
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.recipe import Digits, Quantize
from tests.compress.quantize.networks import SHAPE, Residual, head, unit

INPUT = {"bits": 5, "signed": False, "limit": 1.0, "shape": SHAPE}


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def quantized(*policies, **options):
    settings = Quantize(kind="quantize", epochs=0, policies=policies, **options)
    return quantize_network(Residual(), settings, INPUT).eval()


def bits(model):
    return {
        shape.name: (shape.weight_bits, shape.input_bits) for shape in layer_shapes(model, SHAPE)
    }


def test_the_first_policy_that_matches_counts():
    found = bits(
        quantized(
            {"layers": r"blocks\.[12]\.conv1", "weight_bits": 8, "weight_scaling": "per_channel"},
            {"layers": "blocks", "weight_bits": 2},
        )
    )
    assert found["stem.0"][0] == 4
    assert found["blocks.0.conv1"][0] == found["blocks.2.shortcut.0"][0] == 2
    assert found["blocks.1.conv1"][0] == found["blocks.2.conv1"][0] == 8


def test_a_pattern_matches_whole_names():
    with pytest.raises(RequestError, match="matches no layer with weights"):
        quantized({"layers": "conv1", "weight_bits": 2})


def test_a_pattern_that_matches_a_module_holds_for_what_is_in_it():
    found = bits(quantized({"layers": r"blocks\.0", "weight_bits": 2}))
    assert found["blocks.0.conv1"][0] == found["blocks.0.conv2"][0] == 2
    assert found["blocks.1.conv1"][0] == found["stem.0"][0] == 4


def test_a_policy_for_a_layer_holds_for_its_factors():
    settings = Quantize(kind="quantize", epochs=0, policies=({"layers": "1", "weight_bits": 8},))
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    STAGES["quantize"].check(plain, settings, SHAPE)
    factors = nn.Sequential(nn.Linear(64, 8, bias=False), nn.Linear(8, 32))
    split = nn.Sequential(nn.Flatten(), factors, nn.ReLU(), nn.Linear(32, 10))
    found = bits(quantize_network(split, settings, INPUT).eval())
    assert {name: weights for name, (weights, _) in found.items()} == {"1.0": 8, "1.1": 8, "3": 4}


def test_activations_are_named_by_what_they_stand_at():
    model = quantized(
        {"layers": r"stem\.2", "activation_bits": 7},
        {"layers": "avg_pool2d", "activation_bits": 3},
        {"layers": r"blocks\.0\.bn2", "activation_bits": 6, "scale": "power_of_two"},
    )
    assert bits(model)["blocks.0.conv1"][1] == 7
    assert bits(model)["linear"][1] == 3
    assert model.add_quantizer.act_quant.bit_width() == 6
    scale = torch.log2(model.add_quantizer.act_quant.scale())
    assert torch.equal(scale, scale.round())


@pytest.mark.parametrize(
    ("policy", "says", "hint"),
    [
        (
            {"layers": r"blocks\.7\.conv1", "weight_bits": 2},
            "layer with weights",
            "blocks.0.conv1",
        ),
        ({"layers": "lineer", "weight_bits": 2}, "layer with weights", "'linear'"),
        ({"layers": r"stem\.0", "activation_bits": 2}, "activation", "stem.2"),
        ({"layers": r"blocks\.0\.conv1", "activation_bits": 2}, "activation", "blocks"),
    ],
)
def test_a_pattern_that_matches_nothing_offers_the_nearest_names(policy, says, hint):
    with pytest.raises(RequestError, match=f"matches no {says}") as caught:
        quantized(policy)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weight_bits": 9}, "weight_bits"),
        ({"weight_bits": 0}, "weight_bits"),
        ({"activation_bits": 9}, "activation_bits"),
        ({"accumulator_bits": 33}, "accumulator_bits"),
        ({"policies": [{"layers": "(", "weight_bits": 2}]}, "not a regular expression"),
        ({"policies": [{"layers": "a"}]}, "changes no option"),
        ({"format": "e4m3"}, "for export only"),
        ({"format": "e4m3", "target": "export", "weight_bits": 8}, "for integers"),
        ({"format": "e9m9"}, "format"),
        ({"learned_bits": {}, "epochs": 0}, "needs training"),
        ({"learned_bits": {"minimum": 4}}, "starts above its minimum"),
        ({"post_training": {"rounding": "learned"}, "weight_bits": 1}, "two codes"),
    ],
)
def test_what_can_not_be(options, says):
    with pytest.raises(ValidationError, match=says):
        Quantize(kind="quantize", **options)


def small():
    torch.manual_seed(0)
    return nn.Sequential(*unit(1, 6), *unit(6, 6, 1), *head(6))


def run(data, folder, model, **options):
    settings = Quantize(kind="quantize", **options)
    stage = STAGES["quantize"]
    outcome = stage.run(model, settings, StageContext(data, 0, folder))
    save_checkpoint(folder, outcome)
    again = load_checkpoint(folder, stage, small(), settings).model
    inputs = torch.from_numpy(data.floats(data.test))
    assert torch.equal(outcome.model(inputs), again(inputs))
    return outcome.model


def test_bits_of_weights_are_learned_within_their_range(data, tmp_path):
    options = {"weight_bits": 6, "epochs": 1, "batch_size": 25, "learning_rate": 0.01}
    for penalty, low, high in ((2.0, 3, 3.5), (1e-6, 5, 6)):
        learned = {"penalty": penalty, "minimum": 3, "learning_rate": 0.1}
        model = run(data, tmp_path, small(), learned_bits=learned, **options)
        found = [weight for weight, _ in bits(model).values()]
        assert all(3 <= number <= 6 for number in found)
        assert low <= float(mean_bits(model)) <= high
        for module in model.modules():
            if isinstance(module, QuantWeightBiasInputOutputLayer):
                weight = module.quant_weight()
                codes = weight.value / weight.scale
                assert torch.allclose(codes, codes.round(), atol=1e-3)
                assert codes.abs().max() <= 2 ** (float(weight.bit_width) - 1) - 1 + 1e-3


@pytest.mark.parametrize(("kind", "width"), [("e4m3", 8), ("e5m2", 8), ("e3m2", 6), ("e2m1", 4)])
def test_minifloats_are_trained_and_exported(data, tmp_path, kind, width):
    model = run(data, tmp_path, small(), epochs=1, format=kind, target="export")
    exported = export(model, SHAPE, tmp_path / "export")
    inputs = data.floats(data.validation)[:32]
    agreement = check_agreement(model, exported, inputs)
    assert agreement.qonnx_max_abs < 1e-5
    assert agreement.reference_max_abs is agreement.qcdq_max_abs is None
    assert "minifloats" in exported.qcdq_skipped
    costs = network_costs(model, SHAPE)
    assert costs.weight_bits == width * sum(shape.weights for shape in layer_shapes(model, SHAPE))
