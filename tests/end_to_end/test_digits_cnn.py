"""All compression stages on one convolutional network, from recipe to a verified accelerator."""

import json

import pytest

from tests.support.command import run


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compressed")
    # Synthesis of such layers is tested apart.
    faster = ("--set", "hardware.synthesis=false", "--set", "verify.rtl_frames=10")
    return run(
        *("build", "digits-cnn-compressed", "--board", "pynq-z2", *faster, "--json"), cwd=folder
    )


@pytest.fixture
def report(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_quarter_of_the_operations_costs_less_than_a_point_and_a_half(report):
    kinds = [stage["kind"] for stage in report["stages"]]
    assert kinds == ["train", "prune", "distill", "decompose", "quantize"]
    train, prune, distill, decompose, quantize = report["stages"]
    assert decompose["macs"] <= 0.25 * train["macs"]
    assert decompose["macs"] < distill["macs"] == prune["macs"] < train["macs"]
    assert quantize["weight_bits"] < decompose["weight_bits"] / 7
    assert quantize["metric"]["value"] >= train["metric"]["value"] - 0.015
    kept = prune["kept"]
    assert (kept["of"], kept["budget"]) == ("macs", 0.4)
    assert kept["share"] == pytest.approx(prune["macs"] / train["macs"], abs=1e-6)
    assert 0 < prune["density"] < kept["share"] <= 0.4
    for stage in report["stages"]:
        assert stage["estimate"]["cycles"] <= 10_000  # 10,000 frames/s at 100 MHz


def test_its_factors_are_hardware_that_computes_what_the_network_does(report):
    assert report["ended"] is None
    assert report["problem"] is None
    assert report["exchange"]["qonnx_max_abs"] < 1e-4
    assert report["exchange"]["qcdq_max_abs"] < 1e-4
    verified = report["verification"]
    assert (verified["emulator"]["samples"], verified["emulator"]["mismatches"]) == (359, 0)
    assert (verified["rtl"]["samples"], verified["rtl"]["mismatches"]) == (10, 0)
    patterns = [(p["source"], p["sink"]) for p in verified["rtl"]["stall_patterns"]]
    assert patterns == [(0, 0), (30, 50), (0, 80)]
    assert verified["emulator"]["metric"] == report["stages"][-1]["metric"]["value"]


def test_it_runs_at_the_bound_of_its_folding(report):
    hardware = report["hardware"]
    assert hardware["bound_cycles_per_frame"] <= 10_000
    assert hardware["cycles_per_frame"] <= 1.01 * hardware["bound_cycles_per_frame"]
