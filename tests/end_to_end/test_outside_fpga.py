"""A family, a board, a bitstream back end and a recipe of a package that hwflow does not know."""

import json
import os
import sys
import tarfile
from pathlib import Path

import pytest

from hwflow.processes import run_process

ROOT = Path(__file__).parents[2]
OUTSIDE = ROOT / "tests" / "support" / "outside" / "fpga"


def hwflow(*arguments, cwd, path=(OUTSIDE, ROOT)):
    """What the command prints where the package is installed; its folder is on the path."""
    command = [sys.executable, "-m", "hwflow.cli", *map(str, arguments)]
    found = run_process(command, cwd=cwd, env={"PYTHONPATH": os.pathsep.join(map(str, path))})
    return found.code, found.output


@pytest.mark.parametrize("kind", ["boards", "recipes"])
def test_boards_and_recipes_of_installed_packages_are_listed(tmp_path, kind):
    def listed(path):
        code, output = hwflow(kind, "--json", cwd=tmp_path, path=path)
        assert code == 0, output
        return {row["name"] for row in json.loads(output[output.index("[") :])}

    added = listed((OUTSIDE, ROOT)) - listed((ROOT,))
    assert added == {"boards": {"vc707"}, "recipes": {"digits-small"}}[kind]


def test_the_doctor_asks_back_ends_of_installed_packages(tmp_path):
    _, output = hwflow("doctor", "--json", cwd=tmp_path)
    tools = {row["name"]: row for row in json.loads(output[output.index("[") :])}
    assert tools["tar"]["enables"] == "bitstreams for virtex-7"
    assert "virtex-7" in tools["vivado"]["enables"]
    assert "hwflow does not run it yet" in tools["vivado"]["enables"]


def test_a_build_for_their_board_synthesises_for_their_family_and_makes_the_bitstream(tmp_path):
    run = tmp_path / "run"
    code, output = hwflow("build", "digits-small", "--board", "vc707", "--out", run, cwd=tmp_path)
    assert code == 0, output
    report = json.loads((run / "report.json").read_text())
    assert report["hardware"]["resources"]["tool"].endswith("synth_xilinx xc7")
    assert report["bitstream"] == {
        "path": "bitstream/vc707.bit",
        "tool": "tar",
        "fmax_mhz": 100,
        "skipped": None,
    }
    assert "bitstream: bitstream/vc707.bit, good for 100 MHz [tar]" in output
    with tarfile.open(run / report["bitstream"]["path"]) as archive:
        assert "./top.sv" in archive.getnames()
