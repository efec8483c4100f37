"""Accumulator-aware weights: no input can bring a sum of products out of the accumulator."""

import copy

import pytest
import torch
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from torch import nn

from hwflow import networks
from hwflow.compress import STAGES, StageContext
from hwflow.compress.quantize.accumulator import (
    BoundedLayer,
    bounded_layers,
    check_accumulators,
    without_bounds,
)
from hwflow.data import load
from hwflow.errors import HwflowError
from hwflow.recipe import Digits, Mlp, Quantize, Train
from tests.compress.quantize.networks import SHAPE, unit

BITS = 12
METHODS = ["a2q", "a2q_plus"]


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


@pytest.fixture(scope="module", params=["mlp", "cnn"])
def network(request, data, tmp_path_factory):
    torch.manual_seed(0)
    if request.param == "mlp":
        model = networks.build(Mlp(name="mlp", widths=(32, 24)), SHAPE, 10, 0)
    else:
        # The last convolution's inputs can be negative.
        layers = [*unit(1, 8), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 3), nn.ReLU()]
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10))
    settings = Train(kind="train", epochs=6, learning_rate=5e-3)
    context = StageContext(data, 0, tmp_path_factory.mktemp(request.param))
    return STAGES["train"].run(model, settings, context).model


def settings(method, epochs=3, bits=BITS, **options):
    return Quantize(
        kind="quantize",
        epochs=epochs,
        learning_rate=2e-3,
        weight_bits=4,
        accumulator_bits=bits,
        accumulator_method=method,
        **options,
    )


@pytest.fixture(scope="module")
def trained(network, data, tmp_path_factory):
    context = StageContext(data, 0, tmp_path_factory.mktemp("a2q"))
    return {m: STAGES["quantize"].run(network, settings(m), context) for m in METHODS}


def operands(model):
    """For each layer with weights: its integer weights (a row a channel), bits and sign of its
    inputs, and the extremes of its sums on the worst inputs."""
    found = {}

    def hook(layer, args, output):
        given = args[0]
        weight = layer.quant_weight(given)
        codes = torch.round(weight.value / weight.scale).flatten(1).long()
        bits, signed = int(given.bit_width), bool(given.signed)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        worst = torch.maximum(codes * low, codes * high).sum(1).max()
        best = torch.minimum(codes * low, codes * high).sum(1).min()
        found[layer] = (codes, bits, signed, max(int(worst), -int(best)))

    layers = [m for m in model.modules() if isinstance(m, QuantWeightBiasInputOutputLayer)]
    hooks = [layer.register_forward_hook(hook) for layer in layers]
    with torch.inference_mode():
        model(torch.rand(2, *SHAPE))
    for handle in hooks:
        handle.remove()
    assert len(found) >= 3
    return list(found.values())


def test_a2q_keeps_the_sum_of_integer_weights_below_its_bound(trained):
    seen = set()
    for codes, bits, signed, _ in operands(trained["a2q"].model):
        bound = (2 ** (BITS - 1) - 1) / 2 ** (bits - signed)
        sums = codes.abs().sum(1)
        assert sums.max() <= bound
        seen.add(signed)
    assert False in seen


@pytest.mark.parametrize("method", METHODS)
def test_no_input_brings_a_sum_out_of_the_accumulator(trained, method):
    model = trained[method].model
    found = operands(model)
    assert all(worst <= 2 ** (BITS - 1) - 1 for *_, worst in found)
    assert any(codes.any() for codes, *_ in found)
    greatest = [bounded.greatest() for bounded in bounded_layers(model, SHAPE)]
    assert greatest == [worst for *_, worst in found]


@pytest.mark.parametrize("method", METHODS)
def test_bounded_networks_still_learn(trained, method):
    assert trained[method].metrics["test_accuracy"] > 0.6


def test_a_network_without_the_bound_leaves_the_accumulator(network, data, tmp_path):
    bits = 9
    context = StageContext(data, 0, tmp_path)
    plain = Quantize(kind="quantize", epochs=0, weight_bits=4)
    bound = settings("a2q", 0, bits)
    free, held = (
        max(worst for *_, worst in operands(STAGES["quantize"].run(network, s, context).model))
        for s in (plain, bound)
    )
    assert held <= 2 ** (bits - 1) - 1 < free


@pytest.mark.parametrize("method", METHODS)
def test_narrower_accumulators_get_smaller_weights(network, data, tmp_path, method):
    worst = []
    for bits in (10, 14):
        made = STAGES["quantize"].run(
            network, settings(method, 0, bits), StageContext(data, 0, tmp_path)
        )
        worst.append(max(w for *_, w in operands(made.model)))
    assert worst[0] <= 2**9 - 1 < worst[1] <= 2**13 - 1


def test_a_layer_can_have_an_accumulator_of_its_own(network, data, tmp_path):
    name = [n for n, m in network.named_modules() if isinstance(m, nn.Linear)][-1]
    made = Quantize(kind="quantize", epochs=0, policies=({"layers": name, "accumulator_bits": 10},))
    model = STAGES["quantize"].run(network, made, StageContext(data, 0, tmp_path)).model
    assert [b.name for b in bounded_layers(model, SHAPE)] == [name]
    assert operands(model)[-1][-1] <= 2**9 - 1


@pytest.mark.parametrize("method", METHODS)
def test_plain_quantizers_make_the_same_weights(trained, method):
    model = trained[method].model
    inputs = torch.rand(64, *SHAPE)
    with torch.inference_mode():
        wanted = model(inputs)
        plain = without_bounds(copy.deepcopy(model), SHAPE)
        assert not bounded_layers(plain, SHAPE)
        assert torch.allclose(plain(inputs), wanted, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_weights_out_of_bounds_are_a_named_failure(trained, method, monkeypatch):
    model = trained[method].model
    check_accumulators(model, SHAPE)
    greatest = max(bounded_layers(model, SHAPE), key=BoundedLayer.greatest)
    monkeypatch.setattr(BoundedLayer, "codes", lambda self: torch.full((1, 100), 7))
    with pytest.raises(HwflowError, match=f"accumulator of {BITS} bits holds {2**11 - 1}"):
        check_accumulators(model, SHAPE)
    assert greatest.name in dict(model.named_modules())
