"""A stage, a network and a data set of an installed package are as good as hwflow's own."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.command import SOURCE, run

OUTSIDE = Path(__file__).parents[1] / "support/outside/learning"
RECIPE = """\
data: {name: stripes}
network: {name: narrow, width: 16}
stages:
  - {kind: train, epochs: 15, batch_size: 20, learning_rate: 0.01}
  - {kind: round_weights}
  - {kind: quantize, epochs: 1, batch_size: 40}
"""


def hwflow(*args, cwd=None, installed=OUTSIDE):
    path = os.pathsep.join([str(SOURCE), str(installed)])
    return run(*args, cwd=cwd, env={"PYTHONPATH": path})


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "net.yaml"
    file.write_text(RECIPE)
    return file


def test_a_recipe_of_an_installed_package_builds(recipe, tmp_path):
    out = tmp_path / "run"
    setting = "stages.round_weights.fraction_bits=2"
    command = ("build", recipe, "--board", "pynq-z2", "--out", out, "--until", "export")
    done = hwflow(*command, "--set", setting, cwd=tmp_path)
    assert done.code == 0, done.err
    steps = ["check", "01-train", "02-round_weights", "03-quantize", "export"]
    assert done.steps("finished") == steps
    before = load_file(out / "01-train/weights.safetensors")
    after = load_file(out / "02-round_weights/weights.safetensors")
    assert before["1.weight"].shape == (16, 16)
    assert torch.equal(torch.round(before["1.weight"] * 4) / 4, after["1.weight"])
    report = json.loads((out / "report.json").read_text())
    stages = {stage["kind"]: stage["metric"]["value"] for stage in report["stages"]}
    assert list(stages) == ["train", "round_weights", "quantize"]
    assert stages["train"] > 0.8


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("round_weights}", "round_weight}", "did you mean 'round_weights'"),
        ("round_weights}", "round_weights, fraction_bit: 2}", "did you mean 'fraction_bits'"),
        ("name: narrow,", "name: narow,", "did you mean 'narrow'"),
        ("name: narrow, width: 16", "name: narrow, width: 0", "help: Neurons of the hidden layer."),
        ("name: stripes", "name: stripe", "did you mean 'stripes'"),
    ],
)
def test_mistakes_in_such_a_recipe_are_named(recipe, old, new, says):
    recipe.write_text(RECIPE.replace(old, new))
    done = hwflow("build", recipe, "--board", "pynq-z2")
    assert done.code == 2
    assert says in done.err


def test_commands_and_the_schema_list_what_is_installed():
    for command, name in (("networks", "narrow"), ("datasets", "stripes")):
        assert name in {row["name"] for row in json.loads(hwflow(command, "--json").out)}
    definitions = json.loads(hwflow("schema").out)["$defs"]
    assert {"RoundWeights", "Narrow", "Stripes"} <= set(definitions)


def installed_but(folder, change):
    """A copy of the package, its entry points changed."""
    shutil.copytree(OUTSIDE, folder)
    file = folder / "outside_learning-1.0.dist-info/entry_points.txt"
    file.write_text(change(file.read_text()))
    return folder


def test_options_without_an_implementation_are_an_error_with_a_name(recipe, tmp_path):
    def without_stage(text):
        return text.replace("[hwflow.compress]\nround_weights", "[nobody.asks]\nround_weights")

    installed = installed_but(tmp_path / "installed", without_stage)
    command = ("build", recipe, "--board", "pynq-z2", "--out", tmp_path / "run")
    done = hwflow(*command, installed=installed)
    assert done.code != 0
    assert "outside_learning.round_weights.RoundWeights" in done.err
    assert "'hwflow.compress'" in done.err
    assert "defect of hwflow" not in done.err


def test_two_things_of_one_name_are_an_error_with_both(recipe, tmp_path):
    def twice(text):
        return text.replace(
            "[hwflow.recipe.networks]\n",
            "[hwflow.recipe.networks]\nagain = hwflow.recipe.networks.mlp\n",
        )

    done = hwflow("networks", installed=installed_but(tmp_path / "installed", twice))
    assert done.code == 0
    command = ("build", recipe, "--board", "pynq-z2")
    done = hwflow(*command, installed=tmp_path / "installed")
    assert done.code != 0
    assert "'mlp' means two things" in done.err
