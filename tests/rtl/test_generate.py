"""The RTL folder is complete in itself, and its layers keep up under back pressure."""

import shutil
import subprocess

import numpy as np
import pytest

from hwflow.dataflow.folding import fold_for_cycles
from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.emulate import Emulator
from hwflow.errors import HwflowError
from hwflow.recipe import Hardware, Stall
from hwflow.rtl import load_design
from hwflow.rtl.generate import generate
from hwflow.rtl.nodes import LIBRARY
from hwflow.rtl.patches import PATCHES
from hwflow.simulate import Simulator
from hwflow.simulate.compile import verilator_root
from tests.support.hardware import PYNQ, fold_at_random, lowered
from tests.support.hardware_graphs import HardwareGraph
from tests.support.random_networks import LayerSpec, build_case

LAYER = LayerSpec(8, 3, 3, True, False, True, False)
BINARY = LayerSpec(8, 1, 1, False, False, True, True)


def case(layer, bits=3):
    return build_case(16, [layer, layer], 5, bits, identity=False, bias=True, seed=7)


def stitched(case, seed=3, mvau="dsp"):
    model = lowered(case, Hardware(mvau=mvau)).model
    fold_at_random(model, seed)
    return insert_fifos(insert_converters(model))


def images():
    """Padding, windows of each kind, a pool and a branch."""
    graph = HardwareGraph()
    x = graph.pad(graph.input((6, 6, 4), "INT3"), (1, 1, 1, 1), 2)
    x = graph.thresholds(graph.linear(graph.windows(x, (3, 3), parallel=True), 4, simd=6))
    x = graph.windows(x, (2, 2), (2, 2), simd=2, depthwise=True)
    first, second = graph.copies(graph.pool(x, "MaxPool", (2, 2), 2))
    graph.add(graph.linear(graph.windows(first, (1, 1)), 4), second)
    return insert_fifos(insert_converters(graph.model()))


DESIGNS = {
    "integers": lambda: stitched(case(LAYER, 3)),
    "in LUTs": lambda: stitched(case(LAYER, 3), mvau="lut"),
    "binary": lambda: stitched(case(BINARY, 1)),
    "images": images,
}


@pytest.mark.parametrize("design", DESIGNS)
def test_the_folder_passes_lint_wherever_it_is_moved(finn, tmp_path, design):
    generate(DESIGNS[design](), tmp_path / "rtl", PYNQ.part, 100)
    moved = shutil.copytree(tmp_path / "rtl", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "rtl")
    done = subprocess.run(
        [verilator_root() / "bin" / "verilator_bin", "--lint-only", "-f", "sources.f"],
        cwd=moved,
        env={"VERILATOR_ROOT": str(verilator_root())},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    design = load_design(moved)
    for node in design.nodes:
        for file in (*node.files, *node.data):
            assert (moved / file).is_file()


def test_the_folder_names_no_place_on_this_machine(finn, tmp_path):
    generate(stitched(case(LAYER)), tmp_path, PYNQ.part, 100)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert str(tmp_path) not in file.read_text()
            assert "/tmp/" not in file.read_text()


def test_the_folder_says_whose_it_is_and_finns_files_keep_their_headers(finn, tmp_path):
    generate(stitched(case(LAYER)), tmp_path, PYNQ.part, 100)
    assert "belongs to that user" in (tmp_path / "LICENSE.txt").read_text()
    files = list((tmp_path / LIBRARY).glob("*.sv"))
    assert files
    for file in files:
        assert "Copyright" in file.read_text()[:1000], file.name


def full_speed(case):
    """A layer that makes an output every cycle: SIMD is all of its inputs, PE of its outputs."""
    model = lowered(case).model
    fold_for_cycles(model, 1)
    return insert_fifos(insert_converters(model), {})


def run_full_speed(case, folder, models):
    model = full_speed(case)
    codes = case.codes(60)
    simulator = Simulator(folder, models, optimise=False)
    result = simulator.run(codes, stall=Stall(sink=80), seed=1)
    assert np.array_equal(result.outputs, Emulator(model).run(codes))


def test_back_pressure_overflows_no_queue_and_would_without_the_patch(
    finn, tmp_path, models, monkeypatch
):
    network = build_case(8, [LayerSpec(4, 4, 4, False, False, True, False)], 3, 4, True, False, 0)
    generate(full_speed(network), tmp_path / "patched", PYNQ.part, 100)
    run_full_speed(network, tmp_path / "patched", models)
    others = tuple(patch for patch in PATCHES if patch.file != "mvu_vvu_axi.sv")
    assert len(others) == len(PATCHES) - 1
    monkeypatch.setattr("hwflow.rtl.patches.PATCHES", others)
    generate(full_speed(network), tmp_path / "unpatched", PYNQ.part, 100)
    with pytest.raises(HwflowError, match="simulation stopped") as caught:
        run_full_speed(network, tmp_path / "unpatched", models)
    assert "mvu_vvu_axi" in str(caught.value)
