"""Networks that the host has a part in: float layers at both ends, whole and through all steps."""

import json

import numpy as np
import onnx
import pytest

from tests.support.command import run
from tests.support.model_files import File, dequantized, quantized, saved

NETWORK = """
import brevitas.nn as qnn
from torch import nn


def build(shape, classes):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        qnn.QuantConv2d(4, 6, 3, bias=False, weight_bit_width=3),
        nn.BatchNorm2d(6),
        qnn.QuantReLU(bit_width=3, return_quant_tensor=True),
        nn.Flatten(),
        qnn.QuantLinear(6, 12, bias=False, weight_bit_width=4),
        nn.BatchNorm1d(12),
        nn.GELU(),
        nn.Linear(12, classes),
    )
"""
RECIPE = """
seed: 1
data: {name: digits}
network: {python: "net.py:build"}
stages:
  - {kind: quantize, epochs: 6, batch_size: 50, learning_rate: 0.01}
hardware: {synthesis: false}
verify: {rtl_frames: 40}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which a network of Brevitas and float layers is built."""
    folder = tmp_path_factory.mktemp("host")
    (folder / "net.py").write_text(NETWORK)
    (folder / "host.yaml").write_text(RECIPE)
    result = run("build", "host.yaml", "--board", "pynq-z2", cwd=folder)
    assert result.code == 0, result.err
    assert "head.onnx before the accelerator: Conv 0, Relu 2, Quant 2.quant; " in result.out
    return folder


@pytest.fixture
def run_dir(place):
    return place / "runs" / "host-pynq-z2"


@pytest.fixture
def report(run_dir):
    return json.loads((run_dir / "report.json").read_text())


def test_float_layers_at_both_ends_are_the_hosts(run_dir, report):
    host = report["host"]
    kinds = {part: [o["op"] for o in host[part]["operations"]] for part in ("head", "tail")}
    assert (kinds["head"][0], kinds["head"][-1]) == ("Conv", "Quant")
    assert "Erf" in kinds["tail"]
    assert kinds["tail"][-1] == "Gemm"
    for part in ("head", "tail"):
        onnx.checker.check_model(onnx.load(run_dir / host[part]["file"]), full_check=True)
    assert host["samples"] > 0
    assert host["max_abs"] < 1e-4
    assert report["exchange"]["reference_max_abs"] is None
    assert report["hardware"]["output"].startswith("12 signed")
    for text in ("html", "md"):
        shown = run("report", run_dir, "--format", text)
        assert "head.onnx before the accelerator" in shown.out


def test_what_the_accelerator_computes_between_them_is_verified(report):
    verified = report["verification"]
    assert (verified["emulator"]["samples"], verified["emulator"]["mismatches"]) == (359, 0)
    assert (verified["rtl"]["samples"], verified["rtl"]["mismatches"]) == (40, 0)
    assert len(verified["rtl"]["stall_patterns"]) == 3
    trained = report["stages"][-1]["metric"]["value"]
    assert verified["software"]["metric"] == verified["emulator"]["metric"] == trained > 0.6


def test_a_run_verifies_again(place, run_dir):
    result = run("verify", run_dir, "--samples", 5, "--json", cwd=place)
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert "RTL on 5 frames under 3 stall patterns" in result.err
    assert report["host"]["tail"]["file"] == "dataflow/host/tail.onnx"
    assert (report["verification"]["rtl"]["samples"], report["problem"]) == (40, None)


def test_a_model_file_with_both_builds(place):
    """QCDQ, whose float ends are the host's, on real samples."""
    random = np.random.default_rng(2)
    file = File("N", 1, 8, 8)
    x = file.add("Flatten", file.add("Sqrt", file.add("Mul", "input", 0.9)))
    x = file.add("LayerNormalization", x, np.ones(64), np.zeros(64))
    x = quantized(file, x, 0.05)
    x = file.add("MatMul", x, dequantized(file, random.normal(0, 0.3, (64, 6)), 0.01))
    x = file.add("Gemm", file.add("Elu", x), random.normal(0, 1, (6, 10)), np.zeros(10))
    saved(file.model(x, "N", 10, opset=17, qonnx=None), place, "ends.onnx")
    build = ("build", "ends.onnx", "--board", "pynq-z2", "--set", "hardware.synthesis=false")
    more = ("--set", "data.name=digits", "--set", "verify.rtl_frames=20", "--json")
    result = run(*build, *more, cwd=place)
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["imported"]["tool"] == "onnxruntime"
    heads = [o["op"] for o in report["host"]["head"]["operations"]]
    assert heads[-2:] == ["LayerNormalization", "Quant"]
    assert [o["op"] for o in report["host"]["tail"]["operations"]] == ["Elu", "Gemm"]
    verified = report["verification"]
    assert (verified["emulator"]["samples"], verified["emulator"]["mismatches"]) == (359, 0)
    assert (verified["rtl"]["samples"], verified["rtl"]["mismatches"]) == (20, 0)
