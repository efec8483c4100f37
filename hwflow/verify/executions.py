"""The comparison of all executions: software, emulator, RTL; and where they part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.data import Dataset, Split
from hwflow.dataflow.finn_setup import prepare_finn
from hwflow.dataflow.layer_names import both_names
from hwflow.emulate import Emulator
from hwflow.host import Software
from hwflow.host.software import Outcome
from hwflow.recipe import Stall, Verify
from hwflow.simulate import SimulationResult, Simulator, Waveform

Codes = NDArray[np.int64]
# Values of a differing layer that a message shows.
SHOWN = 6
# Samples that software and emulator compute at a time: their activations are kept.
SAMPLES = 500
# Numbers on all streams that are kept of the RTL, at most, but for a few frames: a part of the
# frames is simulated and compared at a time.
KEPT, LEAST_FRAMES = 2**25, 10


@dataclass(frozen=True)
class Difference:
    """Where two executions part first: the layer, the sample and some values of both."""

    layer: str
    sample: int
    expected: list[int]
    got: list[int]

    def __str__(self) -> str:
        return (
            f"first in layer {self.layer}, sample {self.sample}: expected {self.expected}, got"
            f" {self.got}"
        )


@dataclass(frozen=True)
class Execution:
    """One execution against the one before it; no accuracy where samples have no labels."""

    samples: int
    accuracy: float | None
    mismatches: int = 0
    difference: Difference | None = None

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class RtlExecution:
    """The RTL under one stall pattern: what it did, its cycles, and what was measured of the first
    part of the frames."""

    stall: Stall
    execution: Execution
    cycles: int
    result: SimulationResult = field(repr=False)


def accelerator_input(
    data: Dataset, split: Split, software: Software, model: ModelWrapper
) -> Codes:
    """The integers that the accelerator takes for samples of a data set, (N, elements), in the
    order in which it takes them: the host's where the network has a head, else the data's own.

    Args:
        data: the data set.
        split: some of it.
        software: the network.
        model: the hardware graph.
    """
    codes = software.codes(data, split)
    if codes is not None:
        return codes
    shape = model.get_tensor_shape(model.graph.input[0].name)
    return hardware_order(split.inputs.astype(np.int64), shape)


def hardware_order(codes: Codes, shape: Sequence[int]) -> Codes:
    """Integers of a tensor of the network, as the hardware's tensor has them, (N, elements).

    Args:
        codes: (N, C, H, W), (N, C, L) or (N, F).
        shape: of the hardware's tensor: of an image (1, H, W, C), channels last, whether or not
            the network has flattened it.
    """
    if len(shape) == 4:
        images = codes.reshape(len(codes), shape[3], shape[1], shape[2])
        codes = np.moveaxis(images, 1, -1)
    return codes.reshape(len(codes), -1)


def verify_emulator(
    software: Software, model: ModelWrapper, quantizers: dict[str, str], data: Dataset
) -> tuple[Execution, Execution]:
    """Software (float64) and emulator on the whole test split.

    Args:
        software: the quantized network.
        model: hardware graph.
        quantizers: for each of the network's activation quantizers the tensor of `model` that
            holds its codes.
        data: its test split is used.

    Returns:
        What the software and what the emulator did; a mismatch is a sample whose output differs
        or any of whose quantized activations does.
    """
    emulator = Emulator(model)
    expected, emulated, mismatches = [], [], 0
    difference: Difference | None = None
    for start in range(0, len(data.test), SAMPLES):
        test = data.test.part(start, start + SAMPLES)
        codes = accelerator_input(data, test, software, model)
        outcome = software.run(data, test, codes)
        pairs = _layers(model, quantizers, outcome, emulator, codes)
        mismatches += _mismatches(pairs)
        difference = difference or first_difference(pairs, start)
        expected.append(software.classes(pairs[-1][1]))
        emulated.append(software.classes(pairs[-1][2]))
    count, known = len(data.test), data.test.labels if data.labelled else None
    return (
        Execution(count, accuracy(np.concatenate(expected), known)),
        Execution(
            count,
            accuracy(np.concatenate(emulated), known),
            mismatches,
            difference,
        ),
    )


def accuracy(classes: Codes, labels: Codes | None) -> float | None:
    """The share of right classes; None where the right ones are not known."""
    return None if labels is None else float(np.mean(classes == labels))


def _layers(
    model: ModelWrapper,
    quantizers: dict[str, str],
    outcome: Outcome,
    emulator: Emulator,
    codes: Codes,
) -> list[tuple[str, Codes, Codes]]:
    """What the network's quantizers, and then the accelerator's output, are in software and in the
    emulator: the layer and both, in order of computation."""
    tensors = [tensor for tensor in quantizers.values() if tensor != emulator.input]
    got = emulator.run_layers(codes, [*tensors, emulator.output]) | {emulator.input: codes}
    names = {tensor: both_names(node) for node in model.graph.node for tensor in node.output}
    pairs = [
        (
            names.get(tensor, tensor),
            hardware_order(outcome.trace.codes[name], model.get_tensor_shape(tensor)),
            got[tensor],
        )
        for name, tensor in quantizers.items()
    ]
    last = names.get(emulator.output, emulator.output)
    output = got[emulator.output]
    return [*pairs, (last, outcome.output(output.shape[1]), output)]


def _mismatches(layers: Sequence[tuple[str, Codes, Codes]]) -> int:
    """The number of samples that differ in any layer."""
    differing = [np.any(expected != got, axis=1) for _, expected, got in layers]
    return int(np.any(differing, axis=0).sum())


def first_difference(
    layers: Sequence[tuple[str, Codes, Codes]], start: int = 0
) -> Difference | None:
    """The first sample that differs in the first layer (in order of computation) that does.

    Args:
        layers: name, expected and found integers of each.
        start: number of the first sample.
    """
    for name, expected, got in layers:
        wrong = np.flatnonzero(np.any(expected != got, axis=1))
        if len(wrong):
            sample = int(wrong[0])
            places = np.flatnonzero(expected[sample] != got[sample])[:SHOWN]
            return Difference(
                name,
                start + sample,
                expected[sample, places].tolist(),
                got[sample, places].tolist(),
            )
    return None


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
) -> list[RtlExecution]:
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
    """
    emulator = Emulator(model)
    streams = [s for s in simulator.design.streams if s.producer != "s_axis"]
    capture = [stream.name for stream in streams]
    names = {node.name: both_names(node) for node in model.graph.node}
    size = max(LEAST_FRAMES, KEPT // sum(s.beats * s.elements for s in streams))
    executions = []
    for number, stall in enumerate(stalls):
        results, mismatches, difference = [], 0, None
        for start in range(0, len(codes), size):
            part = codes[start : start + size]
            layers = emulator.run_streams(part)
            result = simulator.run(part, stall=stall, seed=seed + number, capture=capture)
            pairs = [
                (names[s.producer], layers[s.tensor], result.captured[s.name][: len(part)])
                for s in streams
            ]
            mismatches += _mismatches(pairs)
            difference = difference or first_difference(pairs, start)
            results.append(replace(result, captured={}))
        outputs = np.concatenate([result.outputs for result in results])
        right = None if labels is None else accuracy(classes(outputs), labels)
        executions.append(
            RtlExecution(
                stall,
                Execution(len(codes), right, mismatches, difference),
                sum(result.total_cycles for result in results),
                results[0],
            )
        )
    return executions


def verify(
    data: Dataset,
    *,
    software: Software,
    rtl: Path,
    quantizers: dict[str, str],
    simulator: Simulator | None,
    settings: Verify,
    seed: int,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Compare software, emulator and RTL of a build.

    Args:
        data: whose test split is run.
        software: the divided network.
        rtl: RTL folder, with hardware.onnx, the graph that it was generated from.
        quantizers: see `verify_emulator`.
        simulator: of the RTL; None leaves the RTL out.
        settings: frames and stall patterns.
        seed: of the stalls.
        note: told how far it is.

    Returns:
        JSON: `software`, `emulator`, and with a simulator `rtl` (one entry a stall pattern) and
        `performance` (measured without stalls).
    """
    prepare_finn()
    model = ModelWrapper(str(rtl / "hardware.onnx"))
    note(f"software and emulator on {len(data.test)} samples")
    expected, emulator = verify_emulator(software, model, quantizers, data)
    facts: dict[str, Any] = {"software": expected.facts(), "emulator": emulator.facts()}
    if simulator is None:
        return facts
    count = len(data.test) if settings.rtl_frames == "all" else settings.rtl_frames
    codes = accelerator_input(data, data.test.part(0, count), software, model)
    note(f"RTL on {len(codes)} frames under {len(settings.stalls)} stall patterns")
    labels = data.test.labels[:count] if data.labelled else None
    executions = verify_rtl(
        simulator, model, codes, labels, settings.stalls, seed, software.classes
    )
    facts["rtl"] = [
        {
            "stall": e.stall.model_dump(),
            **e.execution.facts(),
            "cycles": e.cycles,
            "cycles_per_frame": e.result.cycles_per_frame,
        }
        for e in executions
    ]
    free = next((e.result for e in executions if e.stall == Stall()), None)
    facts["performance"] = _performance(free or simulator.run(codes[:20], seed=seed), simulator)
    return facts


def _performance(result: SimulationResult, simulator: Simulator) -> dict[str, Any]:
    return {
        "latency_cycles": result.latency_cycles,
        "cycles_per_frame": result.cycles_per_frame,
        "bound_cycles": simulator.design.bound_cycles,
        "fifo_high_water": result.fifo_high_water,
        "streams": {name: asdict(s) for name, s in result.streams.items()},
    }


def record(
    simulator: Simulator, data: Dataset, software: Software, rtl: Path, waveform: Waveform
) -> None:
    """Simulate as many test frames as a waveform's window needs, and record it.

    Args:
        simulator: made with `trace`.
        data: whose test split is run.
        software: the divided network.
        rtl: RTL folder, with hardware.onnx.
        waveform: its file and window.
    """
    frames = 2 + (waveform.first + waveform.cycles) // simulator.design.bound_cycles
    test = data.test
    split = Split(
        np.resize(test.inputs, (frames, *test.inputs.shape[1:])), np.resize(test.labels, frames)
    )
    model = ModelWrapper(str(rtl / "hardware.onnx"))
    codes = accelerator_input(data, split, software, model)
    simulator.run(codes, waveform=waveform)


def compare_netlist(rtl: Simulator, netlist: Simulator, codes: Codes, seed: int) -> dict[str, Any]:
    """The synthesised netlist against the RTL: outputs, and every stream's transfers and stalls.

    Args:
        rtl, netlist: simulators of both.
        codes: input integers (N, elements).
        seed: of the stalls (30 % in, 50 % out).
    """
    stall = Stall(source=30, sink=50)
    expected, got = (s.run(codes, stall=stall, seed=seed) for s in (rtl, netlist))
    wrong = int(np.any(expected.outputs != got.outputs, axis=1).sum())
    if not wrong and expected.streams != got.streams:
        wrong = len(codes)  # the same numbers, but not in the same cycles
    return {"frames": len(codes), "cycles": got.total_cycles, "mismatches": wrong}
