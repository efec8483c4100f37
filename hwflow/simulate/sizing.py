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

# Frames simulated: the pipeline is full long before.
FRAMES = 12
# Attempts to reach the bound, each with FIFOs twice as deep.
ATTEMPTS = 3


@dataclass(frozen=True)
class Sized:
    """A graph with converters and FIFOs, and how it runs.

    Attributes:
        model: the complete hardware graph.
        depths: words of the FIFO in front of each layer that has one.
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

    First every stream gets an unbounded FIFO and the input is offered at the rate of the bound
    (faster, and the FIFOs in front of the slowest layer would grow without end); the most words
    that each held is its depth, and one that never held more than a word in passing is left out.
    Then the real FIFOs are simulated with input as fast as it is taken; if frames take longer
    than the bound, FIFOs are doubled and it is tried again.

    Args:
        model: folded hardware layers.
        frames: input integers (N, elements) to simulate.
        part: FPGA part.
        clock_mhz: clock.
        cache: folder for compiled simulations.
    """
    converted = insert_converters(model)
    frames = np.resize(frames, (FRAMES, *frames.shape[1:]))
    with tempfile.TemporaryDirectory(prefix="hwflow-sizing-") as scratch:
        rtl = Path(scratch) / "gauge"
        design = generate(insert_fifos(converted), rtl, part, clock_mhz, gauge=True)
        bound = design.bound_cycles
        gauges = Simulator(rtl, cache, gauge=True)
        high_water = gauges.run(frames, interval=bound).fifo_high_water
        depths = {
            name.removesuffix("_fifo"): max(words, NO_FIFO + 1)
            for name, words in high_water.items()
            if words > 1
        }
        for attempt in range(ATTEMPTS):
            sized = insert_fifos(converted, depths)
            rtl = Path(scratch) / f"attempt{attempt}"
            generate(sized, rtl, part, clock_mhz)
            measured = Simulator(rtl, cache).run(frames).cycles_per_frame
            if measured <= bound or attempt == ATTEMPTS - 1:
                break
            depths = {
                name.removesuffix("_fifo"): 2 * max(words, depths.get(name, NO_FIFO))
                for name, words in high_water.items()
            }
            high_water = {f"{name}_fifo": depth for name, depth in depths.items()}
    return Sized(sized, depths, bound, measured)
