"""RTL against the emulator on random small networks.

    pytest tests/fuzz --rtl-cases 200 --rtl-seed 7

runs as many as asked, 1000 a seed at most; the number in a failing test's name is the network's
own seed, and `-k` with it runs that one alone.
"""

import numpy as np

from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.emulate import Emulator
from hwflow.recipe import Hardware, Stall
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator
from tests.support.hardware import PYNQ, fold_at_random, lowered
from tests.support.random_networks import LayerSpec, build_case

STALLS = (Stall(), Stall(source=30, sink=50), Stall(source=0, sink=80))
FRAMES = 25


def pytest_generate_tests(metafunc):
    first = 1000 * metafunc.config.getoption("--rtl-seed")
    metafunc.parametrize("seed", range(first, first + metafunc.config.getoption("--rtl-cases")))


def random_case(seed):
    """A random network; the first eight seeds of a thousand cover each bit width once."""
    random = np.random.default_rng(seed)
    bits = 1 + seed % 8
    hidden = [
        LayerSpec(
            width=int(random.choice([1, 2, 3, 4, 6, 8, 12])),
            weight_bits=bits if number == 0 else int(random.integers(1, 9)),
            activation_bits=bits if number == 0 else int(random.integers(1, 9)),
            per_channel=bool(random.integers(2)),
            power_of_two=bool(random.integers(2)),
            batch_norm=bool(random.integers(2)),
            signed=bool(random.integers(2)),
        )
        for number in range(int(random.integers(1, 3)))
    ]
    return build_case(
        features=int(random.choice([1, 2, 4, 6, 8, 16])),
        hidden=hidden,
        classes=int(random.integers(2, 11)),
        input_bits=bits,
        identity=bool(random.integers(2)),
        bias=bool(random.integers(2)),
        seed=seed,
    )


def test_rtl_equals_the_emulator_under_stalls(finn, models, tmp_path, seed):
    case = random_case(seed)
    hardware = lowered(case, Hardware(mvau=["lut", "dsp"][seed % 2]))
    fold_at_random(hardware.model, seed)
    model = insert_fifos(insert_converters(hardware.model))
    generate(model, tmp_path, PYNQ.part, PYNQ.clock_mhz)
    simulator = Simulator(tmp_path, models, optimise=False)
    codes = case.codes(FRAMES)
    expected = Emulator(model).run_layers(codes)
    streams = [s for s in simulator.design.streams if s.producer != "s_axis"]
    for stall in STALLS:
        result = simulator.run(codes, stall=stall, seed=seed, capture=[s.name for s in streams])
        for stream in streams:
            got = result.captured[stream.name][:FRAMES]
            assert np.array_equal(got, expected[_tensor(model, stream.producer)]), (
                f"seed {seed}, stalls {stall}: the output of {stream.producer} differs"
            )


def _tensor(model, name):
    return next(node.output[0] for node in model.graph.node if node.name == name)
