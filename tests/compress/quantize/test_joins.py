"""The pass on branching networks: one scale where values meet, and files that agree."""

from __future__ import annotations

import operator

import pytest
import torch
from brevitas.nn import QuantIdentity, QuantReLU
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from torch import fx, nn

from hwflow.compress import STAGES, StageContext
from hwflow.compress.quantize import quantize_network
from hwflow.data import load
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.recipe import Digits, Quantize
from tests.compress.quantize.networks import SHAPE, TAKEN

pytestmark = pytest.mark.slow

INPUT = {"bits": 5, "signed": False, "limit": 1.0, "shape": SHAPE}
SETTINGS = Quantize(kind="quantize", epochs=0, weight_scaling="per_channel")
JOINS = (operator.add, operator.iadd, torch.add, torch.cat)


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def quantized(name):
    torch.manual_seed(0)
    return quantize_network(TAKEN[name](), SETTINGS, INPUT)


def scales(traced: fx.GraphModule, node: fx.Node) -> set[nn.Module | None]:
    """The quantizers that give a value its scale; None among them where it has none."""
    module = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
    if isinstance(module, QuantIdentity | QuantReLU):
        return {module}
    passes = isinstance(module, nn.MaxPool1d | nn.MaxPool2d | nn.Flatten | nn.Dropout | nn.Identity)
    if passes or node.target in (torch.cat, torch.flatten):
        return set().union(*(scales(traced, n) for n in node.all_input_nodes))
    return {None}


@pytest.mark.parametrize("name", TAKEN)
def test_what_meets_has_one_quantizer_and_layers_see_codes(name):
    traced = quantized(name)
    joins = layers = 0
    for node in traced.graph.nodes:
        module = traced.get_submodule(node.target) if node.op == "call_module" else None
        if node.target in JOINS or isinstance(module, QuantWeightBiasInputOutputLayer):
            given = [scales(traced, n) for n in node.all_input_nodes]
            assert len(set().union(*given)) == 1, node
            assert None not in given[0], node
            joins += node.target in JOINS
            layers += module is not None
    assert layers == sum(isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d) for m in traced.modules())
    assert (joins > 0) == (name in {"residual", "pre_activation", "dense", "meets_itself"})


@pytest.mark.parametrize("name", TAKEN)
def test_all_files_agree_with_the_network(data, tmp_path, name):
    torch.manual_seed(0)
    settings = SETTINGS.model_copy(update={"epochs": 1, "learning_rate": 0.01})
    stage, model = STAGES["quantize"], TAKEN[name]()
    stage.check(model, settings, data.shape)
    outcome = stage.run(model, settings, StageContext(data, 0, tmp_path))
    inputs = data.floats(data.validation)[:64]
    exported = export(outcome.model, data.shape, tmp_path / "export")
    found = check_agreement(outcome.model, exported, inputs)
    assert found.undecided < 16
    assert max(found.qonnx_max_abs, found.qcdq_max_abs, found.reference_max_abs) < 1e-4
    assert outcome.model(torch.from_numpy(inputs)).std(0).max() > 1e-3
