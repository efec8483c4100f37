"""The RTL against the emulator: every number on every stream, under random stalls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.emulate import Emulator
from hwflow.facts.verified import Performance, RtlExecution, StreamFacts
from hwflow.kernels.layer_names import both_names
from hwflow.recipe.hardware import Stall
from hwflow.simulate import SimulationResult, Simulator
from hwflow.verify.comparison import Pair, accuracy, first_difference, mismatches

Codes = NDArray[np.int64]
# Numbers on all streams that are kept of the RTL, at most, but for a few frames: a part of the
# frames is simulated and compared at a time.
KEPT, LEAST_FRAMES = 2**25, 10


def first_output(outputs: Codes) -> Codes:
    """The accelerator's first output integer of each frame: the class, where it chooses that."""
    return outputs[:, 0]


def verify_rtl(
    simulator: Simulator,
    model: ModelWrapper,
    codes: Codes,
    labels: Codes | None,
    stalls: Sequence[Stall],
    seed: int,
    classes: Callable[[Codes], Codes] = first_output,
) -> list[tuple[RtlExecution, SimulationResult]]:
    """The RTL against the emulator under each stall pattern: every number on every stream.

    As many frames as memory is wanted for go through the RTL at a time; then it starts anew.

    Args:
        simulator: of the complete accelerator.
        model: the hardware graph that it was generated from.
        codes: input integers (N, elements).
        labels: (N,) the right classes, where they are known.
        stalls: patterns to simulate one after the other.
        seed: of the stalls.
        classes: what the accelerator's outputs, (N, elements), lead to, (N,); default: the first.

    Returns:
        For each pattern what the RTL did, and what was measured of the first part of the frames.
    """
    emulator = Emulator(model)
    streams = [s for s in simulator.design.streams if s.producer != "s_axis"]
    capture = [stream.name for stream in streams]
    names = {node.name: both_names(node) for node in model.graph.node}
    size = max(LEAST_FRAMES, KEPT // sum(s.beats * s.elements for s in streams))
    executions = []
    for number, stall in enumerate(stalls):
        results, wrong, difference = [], 0, None
        for start in range(0, len(codes), size):
            part = codes[start : start + size]
            layers = emulator.run_streams(part)
            result = simulator.run(part, stall=stall, seed=seed + number, capture=capture)
            pairs = [
                Pair(names[s.producer], layers[s.tensor], result.captured[s.name][: len(part)])
                for s in streams
            ]
            wrong += mismatches(pairs)
            difference = difference or first_difference(pairs, start)
            results.append(replace(result, captured={}))
        outputs = np.concatenate([result.outputs for result in results])
        execution = RtlExecution(
            samples=len(codes),
            accuracy=None if labels is None else accuracy(classes(outputs), labels),
            mismatches=wrong,
            difference=difference,
            stall=stall,
            cycles=sum(result.total_cycles for result in results),
            cycles_per_frame=results[0].cycles_per_frame,
        )
        executions.append((execution, results[0]))
    return executions


def performance(result: SimulationResult, bound_cycles: int) -> Performance:
    """What a simulation without stalls measured.

    Args:
        result: of the simulation.
        bound_cycles: cycles a frame of the slowest node.
    """
    return Performance(
        latency_cycles=result.latency_cycles,
        cycles_per_frame=result.cycles_per_frame,
        bound_cycles=bound_cycles,
        fifo_high_water=result.fifo_high_water,
        streams={name: StreamFacts(**asdict(s)) for name, s in result.streams.items()},
    )
