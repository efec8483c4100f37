"""Frames a second of the hardware graph of TFC (784-64-64-64-10, 2 bits), three ways:

    pytest tests/benchmarks -s

hwflow's emulator, plain batched numpy, and FINN's own node-by-node execution, side by side. Prints
ratios; passes whatever they are.
"""

import time

import numpy as np
import pytest
from qonnx.core.onnx_exec import execute_onnx

from hwflow.emulate import Emulator
from tests.support.hardware import lowered
from tests.support.random_networks import LayerSpec, build_case

FRAMES = 20_000
LAYER = LayerSpec(64, 2, 2, False, False, True, True)
CASE = build_case(784, [LAYER] * 3, 10, 2, identity=False, bias=True, seed=1)


def rate(function, frames, repeat=3):
    """Frames a second, the best of some runs."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return frames / min(seconds)


def numpy_layers(model):
    """The graph as float64 matrix products, which numpy gives to BLAS, and comparisons."""
    steps = []
    for node in model.graph.node:
        values = [model.get_initializer(name) for name in node.input[1:]]
        steps.append((node.op_type, [v.astype(np.float64) for v in values if v is not None], node))
    return steps


def run_numpy(steps, codes):
    from qonnx.custom_op.registry import getCustomOp

    value = codes.astype(np.float64)
    for op, parameters, node in steps:
        if op == "MVAU_rtl":
            value = value @ parameters[0]
        elif op == "Thresholding_rtl":
            counted = (value[:, :, None] >= parameters[0][None]).sum(-1)
            value = counted + getCustomOp(node).get_nodeattr("ActVal")
        else:
            value = (value + sum(parameters)).argmax(1)
    return value


@pytest.mark.usefixtures("finn")
def test_emulator_against_numpy_and_finn(capsys):
    model = lowered(CASE).model
    codes = np.random.default_rng(0).integers(0, 256, (FRAMES, 784))
    emulator, steps = Emulator(model), numpy_layers(model)
    few = codes[:20]

    def in_batches():
        return np.concatenate([run_numpy(steps, codes[i : i + 500]) for i in range(0, 2000, 500)])

    def by_finn():
        for frame in few:
            execute_onnx(model, {"codes": frame[None].astype(np.float32)})

    assert np.array_equal(in_batches(), emulator.run(codes[:2000])[:, 0])
    ours = rate(lambda: emulator.run(codes), FRAMES)
    plain = rate(in_batches, 2000)
    finn = rate(by_finn, len(few))
    with capsys.disabled():
        print(f"\nemulator {ours:,.0f} frames/s, numpy {plain:,.0f}, FINN {finn:,.0f}:")
        print(f"{ours / plain:.1f} times numpy, {ours / finn:,.0f} times FINN")
