"""The main job: `hwflow build recipes/digits-mlp.yaml --board pynq-z2`, and what it leaves."""

import json
import re
import shutil
import subprocess

import pytest

from hwflow.simulate.compile import verilator_root
from tests.support.command import run

STEPS = ["check", "01-train", "02-quantize", "export", "dataflow", "rtl", "synth", "sim", "netlist"]
BUILD = ("build", "recipes/digits-mlp.yaml", "--board", "pynq-z2")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the main job has run once."""
    folder = tmp_path_factory.mktemp("main")
    result = run(*BUILD, cwd=folder)
    assert result.code == 0, result.err
    assert result.steps("finished") == STEPS
    assert "0 mismatches" in result.out
    return folder


@pytest.fixture
def run_dir(place):
    return place / "runs" / "digits-mlp-pynq-z2"


@pytest.fixture
def report(run_dir):
    return json.loads((run_dir / "report.json").read_text())


def test_software_emulator_rtl_and_netlist_agree(report):
    verification = report["verification"]
    assert verification["software"]["metric"] >= 0.95
    assert verification["software"]["samples"] == 359
    for name, count in (("emulator", 359), ("rtl", 359)):
        assert verification[name]["samples"] == count
        assert verification[name]["mismatches"] == 0
        assert verification[name]["metric"] == verification["software"]["metric"]
    patterns = [(p["source"], p["sink"]) for p in verification["rtl"]["stall_patterns"]]
    assert patterns == [(0, 0), (30, 50), (0, 80)]
    assert verification["netlist"]["frames"] >= 20
    assert verification["netlist"]["mismatches"] == 0
    assert report["problem"] is None


def test_the_exports_agree(report):
    assert report["exchange"]["qonnx_max_abs"] < 1e-4
    assert report["exchange"]["qcdq_max_abs"] < 1e-4


def test_cycles_reach_the_bound_of_the_folding(report):
    hardware = report["hardware"]
    assert hardware["cycles_per_frame"] == hardware["bound_cycles_per_frame"]
    assert hardware["bound_cycles_per_frame"] <= 200  # 500,000 frames/s at 100 MHz
    assert hardware["fps"] == pytest.approx(100e6 / hardware["cycles_per_frame"])
    slowest = max(hardware["layers"], key=lambda layer: layer["cycles"])
    assert slowest["cycles"] == hardware["bound_cycles_per_frame"]
    limiting = [x for x in hardware["layers"] if x["name"] == hardware["limiting_layer"]]
    assert limiting[0]["cycles"] == slowest["cycles"]


def test_resources_add_up_and_fit(report):
    table = report["hardware"]["resources"]
    layers = report["hardware"]["layers"]
    for name in ("lut", "ff", "dsp", "bram18"):
        assert table["synthesis"][name] == sum(layer[name] for layer in layers)
        assert table["synthesis"][name] <= table["available"][name]
    assert "Yosys" in table["tool"]
    assert table["synthesis"]["lut"] > 500


def test_there_is_no_bitstream_and_the_report_says_why(report):
    assert "vivado is not on PATH" in report["bitstream"]["skipped"]


def test_the_folder_holds_what_the_documentation_says(run_dir):
    for name in [
        "recipe.yaml",
        "report.json",
        "report.html",
        "build.log",
        "02-quantize/weights.safetensors",
        "01-train/metrics.json",
        "export/model.qonnx.onnx",
        "export/model.qcdq.onnx",
        "rtl/top.sv",
        "rtl/sources.f",
        "dataflow/folded.onnx",
        "sim/verification.json",
        "synth/resources.json",
    ]:
        assert (run_dir / name).is_file(), name
    lint = subprocess.run(
        [verilator_root() / "bin" / "verilator_bin", "--lint-only", "-f", "sources.f"],
        cwd=run_dir / "rtl",
        env={"VERILATOR_ROOT": str(verilator_root())},
        capture_output=True,
    )
    assert lint.returncode == 0, lint.stderr


def test_the_page_needs_nothing_from_elsewhere(run_dir):
    page = (run_dir / "report.html").read_text()
    for outside in ("http://", "https://", "src=", "@import", "url("):
        assert outside not in page


def test_the_same_command_again_does_nothing(place, run_dir, report):
    result = run(*BUILD, cwd=place)
    assert result.code == 0
    assert result.steps("cached") == STEPS
    assert result.steps("started") == []
    again = json.loads((run_dir / "report.json").read_text())
    for steps in (report["steps"], again["steps"]):
        for step in steps:
            step.pop("cached")
    assert {**again, "started": None} == {**report, "started": None}


def test_verify_checks_as_many_frames_as_asked_and_the_report_keeps_the_most(place, run_dir):
    result = run("verify", run_dir, "--samples", "40", "--json", cwd=place)
    assert result.code == 0, result.err
    assert "emulator on 359 samples, RTL on 40 frames under 3 stall patterns" in result.err
    rtl = json.loads(result.out)["verification"]["rtl"]
    assert (rtl["samples"], rtl["mismatches"]) == (359, 0)
    relative = run("verify", run_dir.relative_to(place), "--on", "emulator", cwd=place)
    assert relative.code == 0, relative.err


def test_verify_records_a_waveform(place, run_dir):
    result = run(
        "verify", run_dir, "--samples", 5, "--waveform", "w.vcd", "--window", 50, 20, cwd=place
    )
    assert result.code == 0, result.err
    assert "$enddefinitions" in (place / "w.vcd").read_text()


def test_one_wrong_weight_is_found_and_located(place, run_dir):
    weights = run_dir / "rtl" / "linear1_weights.dat"
    whole = weights.read_text()
    lines = whole.split("\n")
    lines[4] = lines[4][:-1] + f"{int(lines[4][-1], 16) ^ 4:x}"
    weights.write_text("\n".join(lines))
    try:
        result = run("verify", run_dir, "--samples", "40", cwd=place)
        report = json.loads((run_dir / "report.json").read_text())
    finally:
        weights.write_text(whole)
    assert result.code == 1
    assert "verification failed" in result.err
    assert re.search(r"first in layer \S+ \(?linear1\)?, sample", result.err)
    difference = report["verification"]["rtl"]["difference"]
    assert difference["expected"] != difference["got"]
    assert report["problem"]
    assert "failed" in (run_dir / "report.html").read_text()
    assert run(*BUILD, cwd=place).code == 0


@pytest.mark.parametrize(
    ("file", "step", "redone"),
    [
        # Training leaves logs with the time in them: export reads the folder, and runs again.
        ("02-quantize/weights.safetensors", "02-quantize", ["02-quantize", "export"]),
        ("rtl/top.sv", "rtl", ["rtl"]),
        ("sim/verification.json", "sim", ["sim"]),
    ],
)
def test_a_damaged_artifact_is_noticed_and_rebuilt(place, run_dir, file, step, redone):
    path = run_dir / file
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    result = run(*BUILD, cwd=place)
    assert result.code == 0, result.err
    assert f"{step} damaged" in result.err
    assert path.name in result.err
    # What is rebuilt is what was there, so that nothing after it need run again.
    assert result.steps("started") == redone
    assert path.read_bytes() == whole


def test_until_stops_early_and_an_unknown_step_is_refused(place, run_dir):
    result = run(*BUILD, "--until", "dataflow", cwd=place)
    assert result.steps("cached") == STEPS[:5]
    wrong = run(*BUILD, "--until", "bitstream", cwd=place)
    assert wrong.code == 2
    assert "its steps are: check, 01-train" in wrong.err


def test_a_change_of_hardware_trains_nothing_again(place, run_dir, tmp_path):
    copy = shutil.copytree(place, tmp_path / "copy")
    result = run(*BUILD, "--set", "hardware.target_fps=100000", "--until", "dataflow", cwd=copy)
    assert result.code == 0, result.err
    assert result.steps("cached") == ["01-train", "02-quantize", "export"]
    assert result.steps("finished") == ["check", "dataflow"]


@pytest.mark.parametrize("style", ["html", "md", "csv", "json"])
def test_reports_in_every_format(place, run_dir, style):
    result = run("report", run_dir, run_dir, "--format", style, cwd=place)
    assert result.code == 0, result.err
    assert result.out.count("digits-mlp") >= 2
