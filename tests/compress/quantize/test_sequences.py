"""Layers that FINN does not take: they train, reload, export where a format can say them, and the
build ends there. What the files say is what the network says."""

import copy

import pytest
import torch

from hwflow.compress import STAGES, StageContext, load_checkpoint, save_checkpoint
from hwflow.compress.quantize.lowering import why_not_lowered
from hwflow.costs import network_costs
from hwflow.data import load
from hwflow.errors import RequestError
from hwflow.exchange import check_agreement, export
from hwflow.recipe import Digits, Quantize
from tests.compress.quantize.networks import SHAPE
from tests.compress.quantize.sequences import BREVITAS, PLAIN


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def trained(data, folder, make, **options):
    """The network after an epoch, read back from its checkpoint."""
    torch.manual_seed(0)
    model = make()
    fresh, first = copy.deepcopy(model), copy.deepcopy(model)
    settings = Quantize(
        kind="quantize", target="export", epochs=1, batch_size=100, learning_rate=0.01, **options
    )
    stage = STAGES["quantize"]
    stage.check(model, settings)
    outcome = stage.run(model, settings, StageContext(data, 0, folder))
    save_checkpoint(folder, outcome)
    again = load_checkpoint(folder, stage, fresh, settings).model
    inputs = torch.from_numpy(data.floats(data.test))
    assert torch.equal(outcome.model(inputs), again(inputs))
    assert all(moved(outcome.model, first, settings, stage, outcome.structure))
    assert network_costs(outcome.model, SHAPE).macs > 0
    assert why_not_lowered(outcome.model, settings, SHAPE)
    return outcome.model


def moved(model, fresh, settings, stage, structure):
    """Whether training has changed each weight matrix."""
    before = dict(stage.rebuild(fresh, settings, structure).named_parameters())
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            yield not torch.equal(parameter, before[name])


@pytest.mark.parametrize(
    ("networks", "name"),
    [
        *((PLAIN, name) for name in PLAIN),
        *((BREVITAS, name) for name in BREVITAS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_they_train_reload_and_export(data, tmp_path, networks, name):
    options = {"weight_bits": 8, "activation_bits": 8} if networks is PLAIN else {}
    model = trained(data, tmp_path, networks[name], **options)
    exported = export(model, SHAPE, tmp_path / "export")
    agreement = check_agreement(model, exported, data.floats(data.validation), hardware=False)
    assert agreement.qonnx_max_abs < 1e-4
    assert agreement.qcdq_max_abs < 1e-4
    assert agreement.undecided <= agreement.samples // 8


@pytest.mark.parametrize("name", ["lstm", "attention", "transposed"])
def test_hardware_does_not_take_them(name):
    with pytest.raises(RequestError, match="which hardware does not take"):
        STAGES["quantize"].check(PLAIN[name](), Quantize(kind="quantize"))


def test_layers_of_a_network_that_can_not_be_traced_are_quantized_one_by_one(data, tmp_path):
    policies = [{"pattern": r".*linear1", "weight_bits": 2}]
    model = trained(data, tmp_path, PLAIN["encoder"], layers=policies, weight_bits=6)
    layer = model.encoder.layers[0]
    assert layer.linear1.weight_quant.bit_width() == 2
    assert layer.linear2.weight_quant.bit_width() == 6
    assert layer.self_attn.out_proj.weight_quant.bit_width() == 6


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"accumulator_bits": 16}, "accumulator_bits"),
        ({"activation_bits": 1}, "1 bit"),
        ({"format": "e4m3"}, "minifloats"),
    ],
)
def test_what_recurrent_layers_have_no_option_for_is_said(options, says):
    with pytest.raises(RequestError, match=f"layer layer: .*{says}.* are not options"):
        STAGES["quantize"].check(
            PLAIN["rnn"](), Quantize(kind="quantize", target="export", **options)
        )
