"""Reports: a round trip, honest verdicts, and pages that show what is in them."""

import csv
import io
import json

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from hwflow.errors import RequestError
from hwflow.kernels.catalogue import hardware_layers
from hwflow.report import FORMATS, Report, load_report, save_report
from hwflow.report.intervals import seeds
from hwflow.report.terminal import summary

RESOURCES = {"lut": 100, "ff": 50, "dsp": 3, "bram18": 0, "uram": 0}
AVAILABLE = {"lut": 1000, "ff": 2000, "dsp": 20, "bram18": 40, "uram": 0}


def report(**changes):
    """A report of two layers."""
    layers = [
        {"name": name, "op": op, "kernel": "k", "pe": 1, "simd": 2, "cycles": cycles, **RESOURCES}
        for name, op, cycles in (("linear0", "MVAU_rtl", 80), ("label", "LabelSelect_rtl", 10))
    ]
    content = {
        "schema": 1,
        "recipe": "net",
        "board": "pynq-z2",
        "board_title": "TUL PYNQ-Z2",
        "part": "xc7z020clg400-1",
        "hwflow_version": "0",
        "started": "2026-01-01 00:00:00",
        "seconds": 12.5,
        "network": "mlp",
        "data": "digits",
        "stages": [
            {
                "name": "01-train",
                "kind": "train",
                "metric": {"value": 0.9},
                "params": 10,
                "macs": 8,
                "bops": 64,
                "weight_bits": 32,
                "seconds": 3.0,
                "estimate": {"cycles": 81, "lut": 4321, "dsp": 5, "bram18": 6},
            }
        ],
        "hardware": {
            "clock_mhz": 100,
            "cycles_per_frame": 80,
            "latency_cycles": 200,
            "fps": 1.25e6,
            "bound_cycles_per_frame": 80,
            "limiting_layer": "linear0",
            "input": "64 codes",
            "output": "1 label",
            "layers": layers,
            "resources": {
                "estimate": RESOURCES,
                "synthesis": {name: 2 * value for name, value in RESOURCES.items()},
                "available": AVAILABLE,
                "tool": "Yosys",
            },
        },
        "verification": {
            "software": {"samples": 359, "metric": 0.9},
            "emulator": {"samples": 359, "metric": 0.9, "mismatches": 0},
        },
        "bitstream": {"skipped": "vivado is not on PATH"},
        "steps": [{"name": "01-train", "seconds": 3.0, "cached": False}],
    }
    return Report.model_validate(content | changes)


def wrong():
    """The same with a mismatch."""
    execution = {"samples": 359, "metric": 0.9}
    found = {"layer": "linear0", "sample": 7, "expected": [1], "got": [2]}
    emulator = {**execution, "mismatches": 3, "difference": found}
    return report(verification={"software": execution, "emulator": emulator}, problem="it differs")


def test_a_round_trip_through_the_file(tmp_path):
    save_report(report(), tmp_path)
    assert load_report(tmp_path) == report()
    assert json.loads((tmp_path / "report.json").read_text())["schema"] == 1


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 2}', "[" * 50])
def test_a_file_that_is_no_report_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(RequestError, match="no report that this version"):
        load_report(tmp_path)


def test_the_page_shows_the_figures_and_the_bottleneck():
    page = FORMATS["html"]([report()])
    for text in ("90.00 %", "1,250,000", "linear0 (limits)", ">verified<", "vivado is not on PATH"):
        assert text in page
    assert "wrong" not in page.split("</style>")[1]


def test_what_the_host_runs_is_shown_everywhere():
    names = ["norm", *(f"Mul_{n}" for n in range(9))]
    ops = ["LayerNormalization", *["Mul"] * 9]
    many = [{"name": name, "op": op} for name, op in zip(names, ops, strict=True)]
    host = {
        "head": {"file": "dataflow/host/head.onnx", "operations": many},
        "tail": {"file": "dataflow/host/tail.onnx", "operations": [{"name": "fc", "op": "Gemm"}]},
    }
    console = Console(file=io.StringIO(), width=400)
    console.print(summary(report(host=host)))
    said = "head.onnx before the accelerator: LayerNormalization norm, Mul_0, Mul_1, Mul_2, Mul_3,"
    for text in (
        FORMATS["html"]([report(host=host)]),
        FORMATS["md"]([report(host=host)]),
        console.file.getvalue(),
    ):
        assert said in text
        assert "Mul_6, and 2 more; tail.onnx behind it: Gemm fc" in text
        assert "Mul_7" not in text
    tail = {"file": "dataflow/host/tail.onnx", "operations": []}
    assert str(report(host={"head": None, "tail": tail}).host) == (
        "tail.onnx behind it: scales of the logits"
    )
    for style in ("html", "md"):
        assert "before the accelerator" not in FORMATS[style]([report()])


def test_what_each_stage_would_take_as_hardware_is_shown_and_said_to_be_estimated():
    console = Console(file=io.StringIO(), width=200)
    console.print(summary(report()))
    for text in (FORMATS["html"]([report()]), console.file.getvalue()):
        for figure in ("81", "4,321", "6"):
            assert figure in text
        assert "estimated" in text.lower()


def test_a_mismatch_is_seen_everywhere():
    page = FORMATS["html"]([wrong()])
    assert ">failed<" in page
    assert "layer linear0, sample 7: expected [1], got [2]" in page
    assert "it differs" in page
    assert "failed" in FORMATS["md"]([wrong()])
    console = Console(file=io.StringIO(), width=200)
    console.print(summary(wrong()))
    assert "MISMATCH" in console.file.getvalue()
    assert "verified" not in console.file.getvalue()


def test_what_was_not_done_is_not_shown_as_done():
    unfinished = report(hardware=None, verification=None, bitstream=None)
    assert ">not verified<" in FORMATS["html"]([unfinished])
    empty = report(hardware=None, verification=None, bitstream=None, stages=[], steps=[])
    assert FORMATS["html"]([empty])
    for style in ("md", "csv", "json"):
        assert "net" in FORMATS[style]([unfinished])
    Console(file=io.StringIO()).print(summary(empty))


def test_a_build_that_ended_after_export_says_so_and_why_everywhere():
    ended = report(
        hardware=None, verification=None, bitstream=None, ended="layer pool is a Softmax"
    )
    console = Console(file=io.StringIO(), width=200)
    console.print(summary(ended))
    page, table = FORMATS["html"]([ended]), FORMATS["md"]([ended])
    for text in (console.file.getvalue(), page, table):
        assert "after export" in text
        assert "layer pool is a Softmax" in text
    assert ">ended after export<" in page
    assert "ended after export" in FORMATS["csv"]([ended])
    assert json.loads(FORMATS["json"]([ended]))["ended"] == "layer pool is a Softmax"
    assert "verified" not in page.split("</style>")[1]


def test_names_are_escaped():
    assert "<script>alert" not in FORMATS["html"]([report(network="<script>alert(1)</script>")])


def test_runs_are_compared_in_one_table_and_one_picture():
    reports = [report(), report(recipe="other"), wrong()]
    page = FORMATS["html"](reports)
    assert "3 runs compared" in page
    assert page.count("<circle") == 3
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](reports))))
    assert [row["recipe"] for row in rows] == ["net", "other", "net"]
    assert [row["verdict"] for row in rows] == ["verified", "verified", "failed"]
    assert rows[0]["lut"] == "200"
    assert len(FORMATS["md"](reports).splitlines()) == 5
    assert len(json.loads(FORMATS["json"](reports))) == 3


def test_flip_flops_that_nothing_estimates_are_unknown_not_none():
    whole = report()
    table = whole.hardware.resources
    estimate = table.model_copy(update={"synthesis": None, "estimate": table.synthesis})
    hardware = whole.hardware.model_copy(update={"resources": estimate})
    (row,) = csv.DictReader(
        io.StringIO(FORMATS["csv"]([whole.model_copy(update={"hardware": hardware})]))
    )
    assert (row["lut"], row["ff"]) == ("200", "")


SEEDS = {"values": [0.9, 0.91, 0.95], "mean": 0.92, "low": 0.8543, "high": 0.9857}


def repeated():
    """The same, with stages that three seeds repeated, and a teacher."""
    found = report()
    teacher = {"teacher": "mlp, trained", "validation_accuracy": 0.97, "test_accuracy": 0.975}
    stage = found.stages[0].model_dump() | {"seeds": SEEDS, "teachers": [teacher]}
    return Report.model_validate(found.model_dump(by_alias=True) | {"stages": [stage]})


@pytest.mark.parametrize(
    ("op", "role"),
    [
        ("MVAU_rtl", "linear"),
        ("LutMVAU_rtl", "linear"),
        ("VVAU_rtl", "linear"),
        ("Thresholding_rtl", "activation"),
        ("LabelSelect_rtl", "label"),
        ("ConvolutionInputGenerator_rtl", "plumbing"),
    ],
)
def test_bars_of_layers_are_coloured_by_what_they_compute(finn, op, role):
    assert role == hardware_layers()[op].ROLE
    found = report().model_dump(by_alias=True)
    found["hardware"]["layers"] = [found["hardware"]["layers"][0] | {"op": op, "role": role}]
    assert f'<i class="{role}" style=' in FORMATS["html"]([Report.model_validate(found)])


def test_what_pruning_left_is_shown_against_its_budget():
    found = report()
    kept = {"of": "macs", "share": 0.3912, "budget": 0.4}
    stage = found.stages[0].model_dump() | {"kind": "prune", "density": 0.25, "kept": kept}
    pruned = Report.model_validate(found.model_dump(by_alias=True) | {"stages": [stage]})
    console = Console(file=io.StringIO(), width=200)
    console.print(summary(pruned))
    words = "25.0% of the weights left and not zero; 39.1% of macs (budget 40.0%)"
    assert words in console.file.getvalue()
    assert words in FORMATS["html"]([pruned])
    assert "weights left" not in FORMATS["html"]([found])


def test_seeds_are_shown_with_mean_interval_and_values_in_every_report(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    console.print(summary(repeated()))
    for text in (console.file.getvalue(), FORMATS["html"]([repeated()])):
        for figure in ("92.00", "85.43", "98.57", "90.00", "91.00", "95.00"):
            assert figure in text
    page = FORMATS["html"]([repeated()])
    assert "teacher: mlp, trained, 97.50 %" in page
    assert "<u style" in page
    assert "<u style" not in FORMATS["html"]([report()])
    *_, line = FORMATS["md"]([repeated()]).splitlines()
    assert line == "| net | 01-train | 0.9200 | 0.8543 to 0.9857 | 0.9000, 0.9100, 0.9500 |"
    save_report(repeated(), tmp_path)
    assert load_report(tmp_path).stages[0].seeds.values == SEEDS["values"]


@pytest.mark.parametrize("values", [[0.9, 0.8], [0.91, 0.95, 0.93, 0.97, 0.9], [0.5, 0.5, 0.5]])
def test_the_interval_is_students(values):
    found = seeds(values)
    low, high = stats.t.interval(
        0.95, len(values) - 1, np.mean(values), max(stats.sem(values), 1e-300)
    )
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))
