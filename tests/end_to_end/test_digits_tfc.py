"""TFC on digits with 2-bit and with 1-bit weights and activations, from recipe to verified RTL."""

import json

import pytest

from tests.support.command import run


@pytest.mark.parametrize(
    ("recipe", "accuracy"), [("digits-tfc-w2a2", 0.94), ("digits-tfc-w1a1", 0.85)]
)
def test_it_builds_and_verifies(tmp_path, recipe, accuracy):
    binary = recipe.endswith("w1a1")
    # What binary layers take is tested with their kernel.
    hardware = "synthesis=false" if binary else "mvau=dsp"
    options = ("--set", f"hardware.{hardware}", "--json")
    result = run("build", recipe, "--board", "pynq-z2", *options, cwd=tmp_path)
    assert result.code == 0, result.err
    report = json.loads(result.out)
    verification, hardware = report["verification"], report["hardware"]
    assert verification["software"]["metric"] >= accuracy
    assert verification["emulator"]["samples"] == 359
    assert verification["rtl"]["samples"] == 359
    assert verification["emulator"]["mismatches"] == verification["rtl"]["mismatches"] == 0
    assert hardware["cycles_per_frame"] == hardware["bound_cycles_per_frame"]
    assert hardware["bound_cycles_per_frame"] <= 500
    assert binary or hardware["resources"]["synthesis"]["dsp"] > 0
    kernels = {layer["op"] for layer in hardware["layers"]}
    assert ("XnorMVAU_rtl" in kernels) == binary
