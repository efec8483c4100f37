"""Reports: a round trip, honest verdicts, and pages that show what is in them."""

import csv
import io
import json

import pytest
from rich.console import Console

from hwflow.errors import RequestError
from hwflow.report import FORMATS, Report, load_report, save_report
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
