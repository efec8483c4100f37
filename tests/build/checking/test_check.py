"""The check: what a build would be, and what it would fail of, before anything is trained."""

import json

import onnx
import pytest
from click.testing import CliRunner
from torch import nn

from hwflow import cli, networks
from hwflow.board import Resources
from hwflow.build.checking import Check, check_fits, check_model_file, check_recipe
from hwflow.data import load
from hwflow.errors import HwflowError, RequestError
from hwflow.recipe import Recipe
from hwflow.recipe.loading import load_recipe
from tests.support.hardware import PYNQ
from tests.support.random_networks import LayerSpec, build_case

NETWORK = """
from torch import nn

def network(shape, classes):
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64, classes),
    )
"""
QUANTIZE = {"kind": "quantize", "weight_bits": 4, "activation_bits": 4}
TRAIN = {"kind": "train", "epochs": 1000}


@pytest.fixture
def check(finn, tmp_path):
    """Checks a recipe of a small convolutional network."""
    (tmp_path / "net.py").write_text(NETWORK)

    def run(*stages, board=PYNQ, **hardware):
        recipe = Recipe.model_validate(
            {
                "name": "net",
                "data": {"name": "digits"},
                "network": {"python": "net.py:network"},
                "stages": list(stages) or [TRAIN, QUANTIZE],
                "hardware": hardware,
            }
        )
        data = load(recipe.data, recipe.seed, tmp_path)
        model = networks.build(recipe.network, data.shape, data.classes, 1, tmp_path)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        found = check_recipe(recipe, board, data, model, tmp_path, tmp_path)
        for key, value in model.state_dict().items():
            assert value.equal(before[key])
        return found

    return run


def by_name(found):
    return {layer.name: layer for layer in found.layers}


def test_layers_have_their_names_their_choices_and_what_they_take(check):
    found = check(target_fps=20_000)
    layers = by_name(found)
    assert layers["0.0"].rtl == "conv0"
    assert layers["1_windows"].rtl == "conv1_windows"
    assert layers["6"].rtl == "linear0"
    assert layers["1"].choices == {
        "pe": (1, 2, 4, 8, 16),
        "simd": (*(1, 2, 3, 4, 6, 8, 9, 12), *(18, 24, 36, 72)),
    }
    assert all(
        layer.folding[key] in layer.choices[key] for layer in found.layers for key in layer.folding
    )
    assert found.bound_cycles == max(layer.cycles for layer in found.layers)
    assert found.frames_per_second >= 20_000
    for key, total in found.estimates.model_dump().items():
        assert total == sum(getattr(layer.estimates, key) for layer in found.layers)
    assert Check.model_validate_json(found.model_dump_json()) == found


def test_pruning_and_decomposing_change_what_is_checked(check):
    prune = {
        "kind": "prune",
        "method": "topk",
        "granularity": "channel",
        "budget": {"of": "density", "keep": 0.5},
        "epochs": 1,
    }
    pruned = check(TRAIN, prune, QUANTIZE)
    assert by_name(pruned)["1"].choices["pe"][-1] == 8
    assert "02-prune" in pruned.assumptions[0]
    assert not pruned.may_shrink
    thresholds = {key: value for key, value in prune.items() if key != "budget"}
    thresholds |= {"method": "threshold"}
    kept = check(TRAIN, thresholds, QUANTIZE)
    assert by_name(kept)["1"].choices["pe"][-1] == 16
    assert kept.may_shrink
    factors = check(TRAIN, {"kind": "decompose", "method": "tucker2", "epochs": 1}, QUANTIZE)
    assert {"1.0", "1.1", "1.2"} <= set(by_name(factors))
    ranks = {"by": "given", "rank": [4, 4]}
    policy = {"layers": "1", "method": "tucker2", "ranks": ranks}
    given = {"kind": "decompose", "method": "tucker2", "policies": [policy], "epochs": 1}
    assert by_name(check(TRAIN, given, QUANTIZE))["1.0"].choices["pe"][-1] == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"0.1": {pe: 2}', "fold.yaml:1: 0.1: the network has no layer '0.1'"),
        ('"0.0": {pe: 3}', "pe of 0.0 is 3, which does not divide 8"),
        ("0.0: {pe: 2}", "0.0 is a number, not the name of a layer"),
        ('"0.0_windows": {pe: 2}', "0.0_windows has no 'pe'"),
        ('"0.0": {pe: 2}\nconv0: {simd: 3}', "conv0 and 0.0 are the same layer"),
    ],
)
def test_a_wrong_folding_file_is_told_in_the_users_names(check, tmp_path, text, says):
    (tmp_path / "fold.yaml").write_text(text + "\n")
    with pytest.raises(RequestError) as caught:
        check(folding="fold.yaml")
    assert says in str(caught.value)


@pytest.mark.parametrize("names", [("0.0", "1", "6"), ("conv0", "conv1", "linear0")])
def test_a_folding_file_has_the_users_names_or_those_of_rtl(check, tmp_path, names):
    first, second, third = names
    (tmp_path / "fold.yaml").write_text(
        f'"{first}": {{pe: 4, simd: 3}}\n{second}: {{pe: 2}}\n{third}: {{simd: 4}}\n'
    )
    layers = by_name(check(folding="fold.yaml"))
    assert layers["0.0"].folding == {"pe": 4, "simd": 3}
    assert layers["1"].folding == {"pe": 2, "simd": 1}
    assert layers["6"].folding == {"pe": 1, "simd": 4}


def test_a_frame_rate_that_no_folding_reaches_is_told_with_the_layer(check):
    with pytest.raises(RequestError, match=r"0\.0_windows \(conv0_windows\) can't reach"):
        check(target_fps=50_000_000)


def test_a_board_that_is_far_too_small_is_refused_with_the_layers_that_need_most(check):
    found = check()
    check_fits(found, PYNQ)
    small = PYNQ.model_copy(update={"resources": Resources(lut=100, ff=9999, dsp=0, bram18=0)})
    with pytest.raises(RequestError, match=r"does not fit .* LUT of 100 \(most: .*_windows"):
        check_fits(found, small)
    check_fits(found.model_copy(update={"may_shrink": True}), small)


def test_a_wrong_setting_of_a_late_stage_is_told_with_the_stage(check):
    policies = [{"layers": "nothing", "weight_bits": 2}]
    with pytest.raises(RequestError, match=r"02-quantize: policies\.0: the pattern 'nothing'"):
        check(TRAIN, {**QUANTIZE, "policies": policies})


def test_a_recipe_that_quantizes_nothing_ends_after_its_stages(check):
    assert "no stage `quantize`" in check(TRAIN).ends


def test_layers_of_a_model_file_are_called_as_its_nodes(finn, tmp_path):
    layer = LayerSpec(12, 3, 3, False, False, True, False)
    case = build_case(24, [layer, layer], 5, 4, True, True, 2)
    for node in case.model.graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            node.name = f"dense/{node.output[0]}"
    onnx.save(case.model, str(tmp_path / "model.onnx"))
    loaded = load_recipe(str(tmp_path / "model.onnx"))
    found = check_model_file(loaded.recipe, PYNQ, loaded.base)
    names = {layer.rtl: layer.name for layer in found.layers}
    nodes = case.model.graph.node
    products = [node.name for node in nodes if node.op_type in ("MatMul", "Gemm")]
    assert [names[f"linear{n}"] for n in range(3)] == products
    assert names["linear0_thresholds"] == f"{products[0]}_thresholds"


def test_the_command_prints_a_table_or_json_and_refuses_with_code_2(finn, tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    stages = [TRAIN, QUANTIZE]
    recipe = {"data": {"name": "digits"}, "network": {"python": "net.py:network"}, "stages": stages}
    file = tmp_path / "net.yaml"
    file.write_text(json.dumps(recipe))

    def run(*args):
        return CliRunner().invoke(cli.main, ["check", str(file), "--board", "pynq-z2", *args])

    shown = run()
    assert shown.exit_code == 0, shown.output
    assert "1_windows" in shown.output
    assert "conv1_windows" in shown.output
    assert "frames/s at 100 MHz" in shown.output
    found = Check.model_validate_json(run("--json").stdout)
    assert {layer.rtl for layer in found.layers} >= {"conv0", "conv1", "pool0", "linear0", "label"}
    refused = run("--set", "hardware.target_fps=50000000")
    assert refused.exit_code == 2
    assert "can't reach" in refused.output
    assert not list(tmp_path.glob("runs"))


def test_errors_of_the_check_are_hwflows(check):
    with pytest.raises(HwflowError) as caught:
        check(TRAIN, QUANTIZE, top_k=11)
    assert caught.value.exit_code == 2


BREVITAS = """
import brevitas.nn as qnn
import torch
from torch import nn

def network(shape, classes):
    torch.manual_seed(3)
    layers = nn.Sequential(
        nn.Flatten(),
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantLinear(64, 12, bias=False, weight_bit_width=4),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        qnn.QuantLinear(12, classes, bias=False, weight_bit_width=4),
    )
    layers(torch.rand(200, *shape))
    return layers
"""


def quantized_already(folder, *stages):
    (folder / "net.py").write_text(BREVITAS)
    (folder / "net.yaml").write_text(
        "data: {name: digits}\nnetwork: {python: 'net.py:network'}\n"
        f"stages: {json.dumps(list(stages))}\n"
    )
    return load_recipe(str(folder / "net.yaml")).recipe


def test_a_network_that_is_quantized_already_needs_no_stage(finn, tmp_path, check):
    recipe = quantized_already(tmp_path)
    data = load(recipe.data, 0, tmp_path)
    model = networks.build(recipe.network, data.shape, data.classes, 0, tmp_path)
    found = check_recipe(recipe, PYNQ, data, model, tmp_path, tmp_path)
    assert {layer.name for layer in found.layers} >= {"2", "2_thresholds", "4"}
    with pytest.raises(RequestError, match="no quantized layers, and no stage gives it some"):
        check_recipe(recipe, PYNQ, data, nn.Sequential(nn.Flatten()), tmp_path, tmp_path)
