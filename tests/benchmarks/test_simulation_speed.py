"""Cycles a second of the RTL simulation of a TFC-sized accelerator, compiled for speed and not:

pytest tests/benchmarks -s
"""

import time

import pytest

from hwflow.dataflow.folding import fold_for_cycles
from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator
from tests.support.hardware import PYNQ, lowered
from tests.support.random_networks import LayerSpec, build_case

LAYER = LayerSpec(64, 2, 2, False, False, True, True)
CASE = build_case(784, [LAYER] * 3, 10, 2, identity=False, bias=True, seed=1)


@pytest.mark.usefixtures("finn")
def test_optimised_against_quickly_compiled(capsys, tmp_path):
    model = lowered(CASE).model
    fold_for_cycles(model, 784)
    generate(insert_fifos(insert_converters(model)), tmp_path / "rtl", PYNQ.part, 100)
    found = {}
    for optimise in (False, True):
        start = time.perf_counter()
        simulator = Simulator(tmp_path / "rtl", tmp_path / str(optimise), optimise=optimise)
        compiled = time.perf_counter() - start
        start = time.perf_counter()
        cycles = simulator.run(CASE.codes(200)).total_cycles
        found[optimise] = compiled, cycles / (time.perf_counter() - start)
    with capsys.disabled():
        for optimise, (seconds, rate) in found.items():
            print(f"\noptimise={optimise}: {seconds:.1f} s to compile, {rate:,.0f} cycles/s")
        print(
            f"{found[True][1] / found[False][1]:.1f} times the speed for "
            f"{found[True][0] / found[False][0]:.1f} times the compile time"
        )
