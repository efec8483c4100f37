"""Graphs with branches in RTL: the same numbers as FINN's execution, at the bound, no deadlock."""

import numpy as np
import pytest

from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.errors import HwflowError
from hwflow.recipe import Stall
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator
from hwflow.simulate.sizing import size_fifos
from tests.support.hardware import PYNQ
from tests.support.hardware_graphs import HardwareGraph, executed

STALLS = (Stall(), Stall(source=30, sink=50), Stall(sink=80))


def convolution(graph, x, channels, pe, simd, signed=False):
    """3 x 3, padded to the same size, with its activation."""
    inputs = graph.tensors[x][0][-1]
    x = graph.pad(x, (1, 1, 1, 1), inputs)
    x = graph.windows(x, (3, 3), simd=inputs)
    return graph.thresholds(graph.linear(x, channels, 2, pe, simd), 3, 1, signed)


def residual():
    """A convolution, a residual block of two and a shortcut, and a join of its sum's products."""
    graph = HardwareGraph(seed=3)
    x = convolution(graph, graph.input((8, 8, 2), "INT4"), 4, 2, 6)
    first, shortcut = graph.copies(x)
    x = convolution(graph, first, 4, 2, 9)
    x = convolution(graph, x, 4, 2, 9, signed=True)
    x = graph.thresholds(graph.add(x, shortcut, 2, "add0"), 2, 2)
    low, high = graph.copies(x, pe=2)
    x = graph.concat([graph.linear(high, 2, 2), graph.linear(low, 2, 2)], 2)
    return graph, x


@pytest.fixture(scope="module")
def graph(finn):
    return residual()[0]


@pytest.fixture(scope="module")
def sized(graph, models):
    return size_fifos(graph.model(), graph.frames(8), PYNQ.part, 100, models)


@pytest.fixture(scope="module")
def simulator(sized, models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rtl")
    generate(sized.model, folder, PYNQ.part, 100)
    return Simulator(folder, models)


def test_the_pipeline_runs_at_the_bound_of_its_slowest_layer(sized):
    assert sized.cycles_per_frame == sized.bound_cycles


def test_the_shortcut_holds_what_the_branch_has_in_flight(sized):
    """Two 3 x 3 windows must fill, each with a line and two pixels, before a sum comes out."""
    deepest = max(sized.depths, key=sized.depths.get)
    assert deepest == "add0_in1"
    assert sized.depths[deepest] >= 2 * (8 + 2)


@pytest.mark.parametrize("stall", STALLS)
def test_every_stream_equals_finns_execution(sized, simulator, graph, stall):
    frames = graph.frames(6)
    expected = executed(sized.model, frames)
    names = [s.name for s in simulator.design.streams if s.producer != "s_axis"]
    result = simulator.run(frames, stall=stall, seed=1, capture=names)
    for stream in simulator.design.streams[1:]:
        got = result.captured[stream.name][: len(frames)]
        assert np.array_equal(got, expected[stream.tensor]), stream


def test_a_shortcut_without_a_fifo_blocks_and_the_message_says_where(
    sized, graph, models, tmp_path
):
    depths = {name: n for name, n in sized.depths.items() if not name.startswith("add0")}
    converted = insert_converters(graph.model())
    generate(insert_fifos(converted, depths), tmp_path, PYNQ.part, 100)
    with pytest.raises(HwflowError, match="deadlocked") as caught:
        Simulator(tmp_path, models, optimise=False).run(graph.frames(2))
    blocked, missing = str(caught.value).split("waiting to be taken: ")[1].split("; ")[:2]
    assert "-> add0)" in blocked
    assert missing.startswith("waiting for data: ")
    assert "-> add0)" in missing
