"""The simulator: throughput, deadlock explained, broken protocols found, cache and waveforms."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hwflow.dataflow.folding import fold_for_cycles
from hwflow.emulate import Emulator
from hwflow.errors import HwflowError, ToolError
from hwflow.recipe import Hardware, Stall
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator, Waveform
from hwflow.simulate.packing import pack, unpack
from hwflow.simulate.sizing import size_fifos
from hwflow.verify.rtl import verify_rtl
from tests.support.hardware import PYNQ, lowered
from tests.support.random_networks import LayerSpec, build_case

LAYER = LayerSpec(12, 3, 3, False, False, True, False)
CASE = build_case(24, [LAYER, LAYER], 5, 4, identity=True, bias=True, seed=2)


@pytest.fixture(scope="module")
def sized(finn, models):
    model = lowered(CASE).model
    fold_for_cycles(model, 40)
    return size_fifos(model, CASE.codes(8), PYNQ.part, 100, models)


@pytest.fixture(scope="module")
def rtl(sized, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rtl")
    generate(sized.model, folder, PYNQ.part, 100)
    return folder


@pytest.fixture(scope="module")
def simulator(rtl, models):
    return Simulator(rtl, models)


def test_sized_fifos_let_the_pipeline_run_at_its_bound(sized, simulator):
    assert sized.bound_cycles <= 40
    result = simulator.run(CASE.codes(40))
    assert result.cycles_per_frame == sized.bound_cycles == simulator.design.bound_cycles


def test_tfc_folded_for_784_cycles_takes_784(finn, models):
    """BNN-PYNQ's TFC, 2 bits, at 127,551 frames a second: FIFOs of two words make it 1,140."""
    layer = LayerSpec(64, 2, 2, False, False, True, False)
    tfc = build_case(784, [layer] * 3, 10, 2, identity=True, bias=False, seed=1)
    model = lowered(tfc, Hardware(target_fps=127_500)).model
    sized = size_fifos(model, tfc.codes(8), PYNQ.part, 100, models)
    assert sized.bound_cycles == 784
    assert sized.cycles_per_frame == 784


@pytest.mark.parametrize("stall", [Stall(), Stall(source=30, sink=50), Stall(source=90, sink=90)])
@pytest.mark.parametrize("seed", [0, 1])
def test_stalls_change_the_time_and_not_the_numbers(sized, simulator, stall, seed):
    codes = CASE.codes(30)
    result = simulator.run(codes, stall=stall, seed=seed)
    assert np.array_equal(result.outputs, Emulator(sized.model).run(codes))
    assert result.latency_cycles > 0
    bound = simulator.design.bound_cycles
    assert result.cycles_per_frame >= (bound if stall == Stall() else bound - 3)


def test_statistics_account_for_every_beat_and_fifos_for_every_word(simulator):
    result = simulator.run(CASE.codes(10), stall=Stall(sink=80))
    for stream in simulator.design.streams:
        assert result.streams[stream.name].transfers == 10 * stream.beats
    assert result.streams[simulator.design.streams[-1].name].stalled > 0
    depths = {node.name: node.fifo.depth for node in simulator.design.nodes if node.fifo}
    assert depths
    for name, high in result.fifo_high_water.items():
        assert 0 < high <= depths[name] + 1


def test_many_frames_are_compared_in_parts(sized, simulator, monkeypatch):
    monkeypatch.setattr("hwflow.verify.rtl.KEPT", 1)
    monkeypatch.setattr("hwflow.verify.rtl.LEAST_FRAMES", 4)
    codes, stalls = CASE.codes(10), [Stall(), Stall(source=30, sink=50)]
    for execution, first in verify_rtl(simulator, sized.model, codes, None, stalls, seed=1):
        assert (execution.samples, execution.mismatches) == (10, 0)
        assert execution.cycles > 2 * first.total_cycles > 0  # Three parts.
        assert len(first.outputs) == 4

    right = Emulator.run_streams

    def wrong(emulator, part):
        layers = right(emulator, part)
        if len(part) == 2:  # The last part.
            layers[emulator.output][1] += 1
        return layers

    monkeypatch.setattr(Emulator, "run_streams", wrong)
    ((execution, _),) = verify_rtl(simulator, sized.model, codes, None, stalls[:1], seed=1)
    assert execution.mismatches == 1
    assert execution.difference.sample == 9


def test_the_same_seed_gives_the_same_cycles(simulator):
    runs = [simulator.run(CASE.codes(10), stall=Stall(source=30, sink=50), seed=s) for s in (4, 4)]
    assert runs[0].streams == runs[1].streams


# ------------------------------------------------------------------------------- broken designs


def broken(rtl, folder, old, new):
    """A copy of an RTL folder with a fault in its last layer."""
    copy = shutil.copytree(rtl, folder / "broken")
    edit(copy, old, new)
    return copy


def edit(rtl, old, new):
    """Change the module of the last layer."""
    text = (rtl / "label.sv").read_text()
    assert old in text
    (rtl / "label.sv").write_text(text.replace(old, new))


def failure(rtl, models, **options):
    with pytest.raises(HwflowError) as caught:
        Simulator(rtl, models, optimise=False).run(CASE.codes(20), **options)
    return str(caught.value)


def test_a_deadlock_is_explained(rtl, models, tmp_path):
    core = ".ivld(in0_V_TVALID), .irdy(in0_V_TREADY)"
    dead = broken(rtl, tmp_path, core, ".ivld(1'b0), .irdy()")
    edit(dead, "endmodule", "assign in0_V_TREADY = 0;\nendmodule")
    message = failure(dead, models)
    assert "deadlocked in cycle" in message
    assert "-> label)" in message.split("waiting to be taken")[1].split(";")[0]
    assert "_fifo is full" in message


def test_withdrawn_data_break_the_protocol(rtl, models, tmp_path):
    flicker = broken(rtl, tmp_path, ".ovld(out0_V_TVALID)", ".ovld(valid)")
    edit(flicker, ");\n\twire", ");\n\twire valid;\n\twire")
    toggle = "reg on = 0; always @(posedge ap_clk) on <= !on; assign out0_V_TVALID = valid && on;"
    edit(flicker, "endmodule", f"{toggle}\nendmodule")
    message = failure(flicker, models, stall=Stall(sink=50))
    assert "(label -> m_axis) withdrew or changed data" in message


def test_more_output_than_input_is_found(rtl, models, tmp_path):
    loud = broken(rtl, tmp_path, ".ovld(out0_V_TVALID)", ".ovld()")
    edit(loud, "endmodule", "assign out0_V_TVALID = ap_rst_n;\nendmodule")
    message = failure(loud, models)
    assert "put out more than its frames" in message or "withdrew or changed" in message


def test_a_failing_assertion_in_the_rtl_stops_the_simulation(rtl, models, tmp_path):
    check = 'always @(posedge ap_clk) if(ap_rst_n) assert(!in0_V_TVALID) else $fatal(1, "early");'
    doubtful = broken(rtl, tmp_path, "endmodule", f"{check}\nendmodule")
    assert "early" in failure(doubtful, models)


def test_rtl_that_verilator_rejects_is_named(rtl, models, tmp_path):
    bad = broken(rtl, tmp_path, "endmodule", "no such thing;\nendmodule")
    with pytest.raises(HwflowError, match="Verilator rejects") as caught:
        Simulator(bad, models)
    assert "label.sv" in str(caught.value)


# ------------------------------------------------------------------------------ the compilation


def test_a_compiled_model_is_found_again_and_a_damaged_one_is_not_used(rtl, models, simulator):
    stamp = simulator.program.stat().st_mtime_ns
    again = Simulator(rtl, models)
    assert again.program == simulator.program
    assert again.program.stat().st_mtime_ns == stamp
    whole = simulator.program.read_bytes()
    simulator.program.write_bytes(whole[:1000])
    rebuilt = Simulator(rtl, models)
    assert len(rebuilt.program.read_bytes()) > 1000
    codes = CASE.codes(3)
    assert rebuilt.run(codes).outputs.shape == (3, 1)


def test_other_weights_need_no_other_program(rtl, models, simulator, tmp_path):
    other = shutil.copytree(rtl, tmp_path / "other")
    weights = next(other.glob("*_weights.dat"))
    words = weights.read_text().split()
    weights.write_text("".join(f"{'0' * len(word)}\n" for word in words))
    assert Simulator(other, models).program == simulator.program


@pytest.mark.parametrize("missing", ["g++", "make"])
def test_without_a_compiler_the_line_that_installs_it_is_given(rtl, tmp_path, monkeypatch, missing):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in {"g++", "make"} - {missing}:
        (tools / tool).symlink_to(Path(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(ToolError) as caught:
        Simulator(rtl, tmp_path / "cache")
    assert missing in str(caught.value)
    assert "sudo apt-get install -y g++ make" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_window_of_the_waveform_is_recorded(rtl, models, tmp_path):
    simulator = Simulator(rtl, models, trace=True, optimise=False)
    file = tmp_path / "wave.vcd"
    simulator.run(CASE.codes(3), waveform=Waveform(file, first=20, cycles=10))
    text = file.read_text()
    times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert times == list(range(200, 300, 5))
    assert "s_axis_tdata" in text


# ----------------------------------------------------------------------------------- the packing


def test_numbers_survive_packing(simulator):
    for port in (simulator.design.input, *simulator.design.streams):
        low = -(1 << (port.element_bits - 1)) if port.signed else 0
        values = np.random.default_rng(0).integers(
            low, low + (1 << port.element_bits), (4, port.beats * port.elements)
        )
        assert np.array_equal(unpack(pack(values, port), port), values)
