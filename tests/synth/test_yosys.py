"""Synthesis: resources counted, results cached, the netlist does what the RTL does."""

import re

import pytest

from hwflow.board import load_board
from hwflow.dataflow.folding import fold_for_cycles
from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.errors import HwflowError
from hwflow.families import family
from hwflow.host.input_codes import hardware_order
from hwflow.recipe import Hardware
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator
from hwflow.synth import nodes, synthesize
from hwflow.synth.netlist import why_not_simulated, write_netlist
from hwflow.synth.nodes import total
from hwflow.synth.worker import installed_library, patched_library
from hwflow.synth.yosys import BACKEND as YOSYS
from hwflow.verify.netlist import compare_netlist
from tests.support.hardware import PYNQ, lowered
from tests.support.random_images import Block, Description, build
from tests.support.random_networks import LayerSpec, build_case

pytestmark = pytest.mark.rtl

LAYER = LayerSpec(6, 4, 3, False, False, True, False)
CASE = build_case(8, [LAYER], 4, 4, identity=True, bias=True, seed=1)


@pytest.fixture(scope="module")
def rtl(finn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rtl")
    model = lowered(CASE).model
    fold_for_cycles(model, 8)
    generate(insert_fifos(insert_converters(model)), folder, PYNQ.part, 100)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("synth")


@pytest.fixture(scope="module")
def resources(rtl, cache, tmp_path_factory):
    return synthesize(rtl, PYNQ, cache, logs=tmp_path_factory.mktemp("logs"))


def test_each_node_has_plausible_resources(resources):
    assert {"linear0", "linear0_thresholds", "linear1", "label"} <= set(resources)
    linear = resources["linear0"]
    assert linear["dsp"] > 0
    assert linear["lut"] > 10
    assert linear["ff"] > 10
    assert resources["label"]["dsp"] == 0
    assert total(resources)["lut"] == sum(node["lut"] for node in resources.values())


@pytest.fixture
def synthesised(monkeypatch):
    """The nodes that Yosys runs on from here on."""
    names = []

    def run(rtl, node, *rest):
        names.append(node.name)
        return run_yosys(rtl, node, *rest)

    run_yosys = nodes._run
    monkeypatch.setattr(nodes, "_run", run)
    return names


def test_a_second_synthesis_runs_nothing_and_has_the_logs_all_the_same(
    rtl, cache, resources, tmp_path, synthesised
):
    assert synthesize(rtl, PYNQ, cache, logs=tmp_path) == resources
    assert synthesised == []
    assert {file.stem for file in tmp_path.iterdir()} == set(resources)
    assert "Executing" in (tmp_path / "linear0.log").read_text()


@pytest.mark.parametrize("file", ["cells.json", "netlist.v", "synthesis.log"])
def test_a_damaged_result_is_synthesised_again(rtl, cache, resources, tmp_path, synthesised, file):
    place = next(path.parent for path in cache.glob("*/cells.json"))
    (place / file).write_text("{}")
    assert synthesize(rtl, PYNQ, cache, logs=tmp_path) == resources
    assert len(synthesised) == 1


def test_the_netlist_equals_the_rtl_in_every_cycle_and_one_wrong_bit_is_found(
    rtl, cache, resources, models, tmp_path
):
    write_netlist(rtl, tmp_path, PYNQ, cache)
    reference = Simulator(rtl, models)
    codes = CASE.codes(30)
    good = Simulator(tmp_path, models, optimise=False)
    assert compare_netlist(reference, good, codes, seed=5).mismatches == 0
    # One bit of one LUT's table in the first linear layer.
    file = tmp_path / "linear0.v"
    wrong = 0
    text = file.read_text()
    tables = list(re.finditer(r"\.INIT\(64'h([0-9a-f]{16})\)", text))
    assert tables
    for table in tables[:: max(1, len(tables) // 4)][:4]:
        digits = int(table[1], 16) ^ 0xFFFF
        changed = f"{text[: table.start(1)]}{digits:016x}{text[table.end(1) :]}"
        file.write_text(changed)
        bad = Simulator(tmp_path, models, optimise=False)
        try:
            wrong += compare_netlist(reference, bad, codes, seed=5).mismatches > 0
        except HwflowError:  # The fault stops the stream altogether.
            wrong += 1
    assert wrong > 0


def test_the_netlist_of_a_graph_with_images_equals_the_rtl_in_every_cycle(finn, models, tmp_path):
    """Padding, windows, a pool: their memories are LUT RAM, of which there are open models."""
    blocks = (
        Block("conv", 1, pads=(1, 1, 1, 1), weight_bits=2, activation_bits=2),
        Block("max_pool", kernel=(2, 2), stride=(2, 2)),
    )
    case = build(Description((1, 6, 6), blocks, classes=2, input_bits=2, direct=True, seed=5))
    model = lowered(case, Hardware(mvau="lut")).model
    rtl, netlist, cache = (tmp_path / name for name in ("rtl", "netlist", "cache"))
    generate(insert_converters(model), rtl, PYNQ.part, 100)
    found = synthesize(rtl, PYNQ, cache, logs=tmp_path)
    assert sum(node["bram18"] for node in found.values()) == 0
    assert why_not_simulated(rtl, PYNQ, cache) is None
    design = write_netlist(rtl, netlist, PYNQ, cache)
    assert {"FMPadding_rtl", "ConvolutionInputGenerator_rtl", "Pool_rtl"} <= {
        node.op for node in design.nodes
    }
    assert any(
        re.search(r"\bRAM\d+[MX]", (netlist / f"{n.name}.v").read_text()) for n in design.nodes
    )
    codes = hardware_order(case.codes(12), model.get_tensor_shape(model.graph.input[0].name))
    simulators = (Simulator(folder, models, optimise=False) for folder in (rtl, netlist))
    assert compare_netlist(*simulators, codes, seed=5).mismatches == 0


def test_why_a_netlist_is_not_simulated_names_the_node_and_its_memory(monkeypatch, rtl, cache):
    texts = {"conv0": "LUT6 a();", "conv0_windows": "RAMB18E1 b(); RAMB36E1 c();"}
    monkeypatch.setattr("hwflow.synth.netlist.netlists", lambda *arguments: texts)
    reason = why_not_simulated(rtl, PYNQ, cache)
    assert reason == "conv0_windows holds RAMB18E1, RAMB36E1, of which there is no open model"


def test_a_module_that_yosys_rejects_is_named_with_its_log(rtl, cache, tmp_path):
    copy = tmp_path / "rtl"
    copy.mkdir()
    for file in rtl.rglob("*"):
        if file.is_file():
            (copy / file.relative_to(rtl)).parent.mkdir(exist_ok=True)
            (copy / file.relative_to(rtl)).write_bytes(file.read_bytes())
    label = copy / "label.sv"
    label.write_text(label.read_text().replace("endmodule", "no such thing;\nendmodule"))
    logs = tmp_path / "logs"
    logs.mkdir()
    with pytest.raises(HwflowError, match="can't synthesise label") as caught:
        synthesize(copy, PYNQ, cache, logs=logs)
    assert str(logs / "label.log") in str(caught.value)


@pytest.mark.parametrize("name", ["zcu104", "ulx3s-85f"])
def test_other_families_are_synthesised_with_their_own_cells(finn, tmp_path, name):
    board, model = load_board(name), lowered(CASE).model
    generate(insert_converters(model), tmp_path / "rtl", board.part, board.clock_mhz)
    found = total(synthesize(tmp_path / "rtl", board, tmp_path / "cache", logs=tmp_path))
    assert found["lut"] > 100
    assert found["ff"] > 100


def test_cells_are_counted_as_the_luts_that_they_take():
    cells = {"LUT6": 3, "RAM32M": 2, "FDRE": 5, "RAMB36E1": 1, "RAMB18E1": 1, "CARRY4": 9}
    found = family("zynq-7000").fabric.cells.count(cells)
    assert found == {"lut": 11, "ff": 5, "dsp": 0, "bram18": 3, "uram": 0}


def test_no_cell_is_counted_as_nothing_because_it_is_not_known():
    cells = family("ecp5").fabric.cells
    assert cells.count({"PDPW16KD": 2, "TRELLIS_FF": 3})["bram18"] == 2
    with pytest.raises(HwflowError, match="holds DSP48E1, fifo_gauge, of which the cost"):
        cells.count({"LUT4": 1, "DSP48E1": 1, "fifo_gauge": 1})


def test_a_library_is_patched_in_a_copy_and_another_release_is_not_patched_in_silence(tmp_path):
    library = installed_library()
    patches = family("zynq-ultrascale+").fabric.yosys.patches
    copy = patched_library(library, patches, tmp_path / "share")
    changed = [p for p in copy.rglob("*") if p.is_file() and not p.is_symlink()]
    assert {path.relative_to(copy).as_posix() for path in changed} == {p.file for p in patches}
    assert "abits 16;" not in (copy / "xilinx/lutrams_xcu.txt").read_text()
    for original in ("xilinx/cells_xtra.v", "techmap.v"):
        assert (copy / original).read_bytes() == (library / original).read_bytes()
    with pytest.raises(HwflowError, match=r"lutrams_xcu.txt is not the file that hwflow patches"):
        patched_library(copy, patches, tmp_path / "again")


def test_what_a_family_says_of_yosys_is_part_of_what_a_netlist_follows_from():
    causes = {YOSYS.causes(family(name)) for name in ("zynq-7000", "zynq-ultrascale+", "ecp5")}
    assert len(causes) == 3
    assert YOSYS.causes(family("artix-7")) == YOSYS.causes(family("zynq-7000"))
