"""Recipes of large networks, every layer at its full size, from recipe to verified RTL.

What they learn is not the point here: they see a few random images, or signals, for one epoch.
"""

import json

import numpy as np
import pytest

from tests.support.command import run

IMAGES = "data={{name: npz, file: {few}}}"
QUANTIZED = (IMAGES, "stages.quantize.epochs=1")
TRAINED = (*QUANTIZED, "stages.train.epochs=1")
RECIPES = {
    "cifar10-cnv-w2a2": (QUANTIZED, {"LutMVAU", "Pool"}),
    "cifar10-resnet8-w4a4": (TRAINED, {"ElementwiseAdd", "DuplicateStreams", "GlobalAccPool"}),
    "cifar10-mobilenet-w4a4": (TRAINED, {"VVAU", "GlobalAccPool"}),
}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A file of random images as CIFAR-10 has them."""
    file = tmp_path_factory.mktemp("recipes") / "few.npz"
    random = np.random.default_rng(0)
    arrays = {}
    for name, count in (("", 60), ("_test", 24)):
        arrays[f"x{name}"] = random.integers(0, 256, (count, 3, 32, 32), np.uint8)
        arrays[f"y{name}"] = np.arange(count) % 10
    np.savez(file, **arrays)
    return file


@pytest.mark.parametrize(
    ("recipe", "settings", "kernels"),
    [
        ("cifar10-cnv-w1a1", QUANTIZED, {"xnor_mvau", "pool"}),
        ("radio-vgg10-1d-w4a4", ("data.samples=240",), {"lut_mvau", "pool"}),
    ],
)
def test_others_are_folded_for_as_many_frames(recipe, settings, kernels, few, tmp_path):
    """Their kernels are those of other recipes, which are simulated."""
    overrides = [part for text in settings for part in ("--set", text.format(few=few))]
    result = run("check", recipe, "--board", "pynq-z2", *overrides, "--json", cwd=tmp_path)
    assert result.code == 0, result.err
    layers = json.loads(result.out)["layers"]
    assert kernels <= {layer["kernel"] for layer in layers}
    assert max(layer["cycles"] for layer in layers) <= 100_000  # 1,000 frames/s at 100 MHz


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_is_verified_rtl_at_the_bound_of_its_folding(recipe, few, tmp_path):
    settings, kernels = RECIPES[recipe]
    wanted = (*settings, "hardware.synthesis=false", "verify.rtl_frames=3")
    overrides = [part for text in wanted for part in ("--set", text.format(few=few))]
    result = run("build", recipe, "--board", "pynq-z2", *overrides, "--json", cwd=tmp_path)
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["ended"] is None
    verified = report["verification"]
    assert verified["emulator"]["samples"] >= 24
    assert verified["emulator"]["mismatches"] == 0
    assert verified["rtl"]["samples"] == 3
    assert [p["mismatches"] for p in verified["rtl"]["stall_patterns"]] == [0, 0, 0]
    hardware = report["hardware"]
    assert kernels <= {layer["op"].removesuffix("_rtl") for layer in hardware["layers"]}
    bound = hardware["bound_cycles_per_frame"]
    assert bound <= 100_000  # 1,000 frames/s at 100 MHz
    assert bound <= hardware["cycles_per_frame"] <= 1.01 * bound
