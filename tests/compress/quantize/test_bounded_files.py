"""Accumulator-aware weights in files: the bound holds there; what can hold none is refused."""

import numpy as np
import onnx
import pytest
import torch
from pydantic import ValidationError
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

from hwflow.compress import STAGES, StageContext, load_checkpoint, save_checkpoint
from hwflow.compress.quantize import quantize_network
from hwflow.compress.quantize.accumulator import bounded_layers
from hwflow.costs import network_costs
from hwflow.data import load
from hwflow.errors import RequestError
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.recipe import Digits, Quantize
from tests.compress.quantize.networks import SHAPE, head, unit

pytestmark = pytest.mark.slow

BITS = 10


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def network():
    """Unsigned inputs, depthwise, and signed inputs of a factor."""
    torch.manual_seed(0)
    return nn.Sequential(
        *unit(1, 8), *unit(8, 8, groups=8), nn.Conv2d(8, 4, 1, bias=False), *unit(4, 8), *head(8)
    )


def settings(method, **options):
    return Quantize(
        kind="quantize", accumulator_bits=BITS, accumulator_method=method, pool_bits=6, **options
    )


@pytest.mark.parametrize("method", ["a2q", "a2q_plus"])
@pytest.mark.parametrize(
    "options", [{}, {"weight_scaling": "per_channel", "scale": "power_of_two", "weight_bits": 6}]
)
def test_no_sum_leaves_the_accumulator(data, tmp_path, method, options):
    stage, asked = STAGES["quantize"], settings(method, epochs=2, learning_rate=0.01, **options)
    outcome = stage.run(network(), asked, StageContext(data, 0, tmp_path))
    layers = bounded_layers(outcome.model, SHAPE)
    assert [layer.name for layer in layers] == ["0", "3", "6", "7", "12"]
    for layer in layers:
        sums = layer.codes().abs().sum(1)
        bits, signed = layer.input_bits, layer.input_signed
        if method == "a2q":
            assert sums.max() <= (2 ** (BITS - 1) - 1) / 2 ** (bits - signed)
        else:
            assert sums.max() <= (2**BITS - 2) / (2**bits - 1)
        assert layer.greatest() <= 2 ** (BITS - 1) - 1
        assert sums.max() > 0
    assert [layer.input_signed for layer in layers] == [False, False, False, True, True]
    exported = export(outcome.model, SHAPE, tmp_path / "export")
    agreement = check_agreement(outcome.model, exported, data.floats(data.validation))
    assert max(agreement.qonnx_max_abs, agreement.qcdq_max_abs, agreement.reference_max_abs) < 1e-5
    assert exported_sums(exported.qonnx) == [
        layer.codes().abs().sum(1).tolist() for layer in layers
    ]
    save_checkpoint(tmp_path, outcome)
    again = load_checkpoint(tmp_path, stage, network(), asked).model
    inputs = torch.from_numpy(data.floats(data.test))
    assert torch.equal(outcome.model(inputs), again(inputs))
    bits_of_weights = network_costs(outcome.model, SHAPE).weight_bits
    assert bits_of_weights == options.get("weight_bits", 4) * sum(
        layer.layer.weight.numel() for layer in layers
    )


def exported_sums(file):
    """Absolute sums of the integer weights in a QONNX file, a list for each layer."""
    model = ModelWrapper(str(file))
    found = []
    for node in onnx.load(str(file)).graph.node:
        if node.op_type not in {"Conv", "MatMul", "Gemm"}:
            continue
        quantizer = model.find_producer(node.input[1])
        weight, scale = (model.get_initializer(name) for name in quantizer.input[:2])
        codes = np.rint(weight / scale)
        axes = (0,) if node.op_type == "MatMul" else tuple(range(1, codes.ndim))
        found.append(np.abs(codes).sum(axis=axes).tolist())
    return found


@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize("signed", [False, True])
def test_the_greatest_sum_is_one_that_an_input_reaches(bits, signed):
    torch.manual_seed(1)
    model = quantize_network(
        nn.Sequential(nn.Flatten(), nn.Linear(6, 3)),
        Quantize(kind="quantize", weight_bits=4, accumulator_bits=9),
        {"bits": bits, "signed": signed, "limit": 1.0, "shape": (6,)},
    )
    (layer,) = bounded_layers(model, (6,))
    low, high = (-1, 1) if bits == 1 and signed else (0, 2**bits - 1)
    if signed and bits > 1:
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    inputs = torch.cartesian_prod(*[torch.tensor([float(low), float(high)])] * 6)
    reached = (inputs @ layer.codes().T).abs().max()
    assert layer.greatest() == reached <= 255


def test_an_accumulator_that_holds_no_product_is_refused_before_training():
    model = network()
    with pytest.raises(RequestError, match="layer 0: an accumulator of 6 bits holds no product"):
        STAGES["quantize"].check(model, Quantize(kind="quantize", accumulator_bits=6), SHAPE)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weight_bits": 1}, "2 bits or more"),
        ({"weight_bits": "ternary"}, "2 bits or more"),
        ({"post_training": {"rounding": "gptq"}}, "rounds weights itself"),
        ({"accumulator_method": "a2q_plus", "activation_bits": 1}, "binary inputs"),
    ],
)
def test_what_it_does_not_go_with(options, says):
    with pytest.raises(ValidationError, match=says):
        Quantize(kind="quantize", accumulator_bits=16, **options)
