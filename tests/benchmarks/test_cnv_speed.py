"""The 2-bit CNV at 1,000 frames/s, 59 million multiply-accumulates a frame, in emulator and RTL:

    pytest tests/benchmarks -s

Frames a second of the emulator beside FINN's own node-by-node execution; seconds and memory that
Verilator takes to compile the accelerator, seconds that it takes to simulate a frame. The network
is the recipe's, calibrated on random images. Passes whatever the figures are.
"""

import resource
import time

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from hwflow.emulate import Emulator
from hwflow.simulate import Simulator
from tests.support.command import run

FRAMES = 1000


def seconds(function):
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def test_cnv_in_emulator_and_rtl(capsys, tmp_path, finn):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (100, 3, 32, 32), np.uint8)
    np.savez(tmp_path / "few.npz", x=images, y=np.arange(100) % 10)
    settings = [f"data={{name: npz, file: {tmp_path}/few.npz}}", "stages.quantize.epochs=0"]
    overrides = [part for setting in settings for part in ("--set", setting)]
    command = ("build", "cifar10-cnv-w2a2", "--board", "pynq-z2", "--until", "rtl", *overrides)
    done = run(*command, "--out", tmp_path / "run", cwd=tmp_path)
    assert done.code == 0, done.err

    codes = random.integers(0, 256, (FRAMES, 32 * 32 * 3))
    emulator = Emulator(ModelWrapper(str(tmp_path / "run/rtl/hardware.onnx")))
    emulator.run(codes[:100])
    labels, emulated = seconds(lambda: emulator.run(codes))
    graph = ModelWrapper(str(tmp_path / "run/dataflow/folded.onnx"))
    frame = {"codes": codes[0].reshape(1, 32, 32, 3).astype(np.float32)}
    found, by_finn = seconds(lambda: execute_onnx(graph, frame))
    assert found["label"].item() == labels[0]

    simulator, compiled = seconds(lambda: Simulator(tmp_path / "run/rtl", tmp_path / "cache"))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    result, simulated = seconds(lambda: simulator.run(codes[:6]))
    assert np.array_equal(result.outputs, labels[:6])
    bound = simulator.design.bound_cycles
    with capsys.disabled():
        print(f"\nemulator {FRAMES / emulated:,.0f} frames/s, FINN {1 / by_finn:.2f}")
        print(f"RTL: {compiled:.0f} s to compile, greatest process {memory:.1f} GiB", end=", ")
        print(f"{simulated / 6:.2f} s a frame")
        print(f"{result.cycles_per_frame:,.0f} cycles a frame, bound {bound:,}")
