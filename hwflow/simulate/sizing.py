"""FIFO depths from simulation: as deep as it takes for the pipeline to run at its bound."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.dataflow.stitch import NO_FIFO, insert_converters, insert_fifos
from hwflow.rtl.generate import generate
from hwflow.simulate.run import Simulator

# Frames that small designs are simulated for, and the least for large ones: the pipeline is full
# before. Cycles are what a run costs, so large designs get as many frames as fit into these.
FRAMES, FEWEST = 12, 5
CYCLES = 600_000
# Attempts to reach the bound, each with FIFOs twice as deep.
ATTEMPTS = 4
# How far above the bound frames may take, as a part of it.
TOLERANCE = 0.002


@dataclass(frozen=True)
class Sized:
    """A graph with converters and FIFOs, and how it runs.

    Attributes:
        model: the complete hardware graph.
        depths: words of the FIFO on each stream that has one, by `stitch.edge_name`.
        bound_cycles: cycles a frame of the slowest node, converters included.
        cycles_per_frame: measured.
    """

    model: ModelWrapper
    depths: dict[str, int]
    bound_cycles: int
    cycles_per_frame: float


def size_fifos(
    model: ModelWrapper,
    frames: NDArray[np.integer],
    part: str,
    clock_mhz: float,
    cache: Path,
) -> Sized:
    """Insert converters, and FIFOs with depths from simulation.

    First every stream gets a FIFO without bound, and the input is offered evenly at the rate of
    the slowest layer (faster, and the FIFOs in front of that layer would grow without end). The
    most words that each held is its depth; one that never held more than a word in passing is left
    out. Where a stream forks and joins again, the FIFO on the shorter way so gets what the longer
    way has in flight, without which the fork would block. A schedule that fits into these depths
    exists, then: the one that was simulated; so the layers, which start as soon as they can, are
    at least as fast with them. That is simulated too, in the same program, with input as fast as
    it is taken, and FIFOs are doubled should frames take longer; and last with the real FIFOs.

    Args:
        model: folded hardware layers.
        frames: input integers (N, elements) to simulate.
        part: FPGA part.
        clock_mhz: clock.
        cache: folder for compiled simulations.
    """
    converted = insert_converters(model)
    with tempfile.TemporaryDirectory(prefix="hwflow-sizing-") as scratch:
        rtl = Path(scratch) / "gauge"
        bound = generate(insert_fifos(converted), rtl, part, clock_mhz, gauge=True).bound_cycles
        frames = np.resize(frames, (frames_to_simulate(bound), *frames.shape[1:]))
        depths = _measured_depths(Simulator(rtl, cache, gauge=True), frames, bound)
        for attempt in range(ATTEMPTS):
            sized = insert_fifos(converted, depths)
            rtl = Path(scratch) / f"attempt{attempt}"
            generate(sized, rtl, part, clock_mhz)
            measured = Simulator(rtl, cache).run(frames).cycles_per_frame
            if measured <= bound * (1 + TOLERANCE) or attempt == ATTEMPTS - 1:
                break
            depths = _doubled(depths)
    with_fifo = {name: words for name, words in depths.items() if words > NO_FIFO}
    return Sized(sized, with_fifo, bound, measured)


def frames_to_simulate(bound: int) -> int:
    """How many frames of `bound` cycles show how a design runs, at a cost that can be borne."""
    return min(FRAMES, max(FEWEST, CYCLES // bound))


def _measured_depths(gauges: Simulator, frames: NDArray[np.integer], bound: int) -> dict[str, int]:
    """Depths of all streams with which gauges run as fast as they can without bound.

    A layer that takes longer than it says would fill the FIFOs before it without end, so the pace
    is that of the slowest layer as it is.
    """
    pace = max(bound, round(gauges.run(frames).cycles_per_frame))
    high_water = gauges.run(frames, interval=pace).fifo_high_water
    depths = {
        name.removesuffix("_fifo"): max(words, NO_FIFO + 1) if words > 1 else NO_FIFO
        for name, words in high_water.items()
    }
    for _ in range(ATTEMPTS):
        bounds = {f"{name}_fifo": words for name, words in depths.items()}
        if gauges.run(frames, depths=bounds).cycles_per_frame <= pace * (1 + TOLERANCE):
            break
        depths = _doubled(depths)
    return depths


def _doubled(depths: dict[str, int]) -> dict[str, int]:
    return {name: 2 * words for name, words in depths.items()}
