"""Software (float64) against the integer emulator, in every quantized layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.data import Dataset
from hwflow.emulate import Emulator
from hwflow.facts.verified import Difference, Execution
from hwflow.host.input_codes import accelerator_input, hardware_order
from hwflow.host.software import Outcome, Software
from hwflow.kernels.layer_names import both_names
from hwflow.verify.comparison import Pair, accuracy, first_difference, mismatches

# Samples that software and emulator compute at a time: their activations are kept.
SAMPLES = 500


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
    expected, emulated, wrong = [], [], 0
    difference: Difference | None = None
    for start in range(0, len(data.test), SAMPLES):
        test = data.test.part(start, start + SAMPLES)
        codes = accelerator_input(data, test, software, model)
        outcome = software.run(data, test, codes)
        pairs = _pairs(model, quantizers, outcome, emulator, codes)
        wrong += mismatches(pairs)
        difference = difference or first_difference(pairs, start)
        expected.append(software.classes(pairs[-1].expected))
        emulated.append(software.classes(pairs[-1].got))
    count, known = len(data.test), data.test.labels if data.labelled else None
    return (
        Execution(samples=count, accuracy=accuracy(np.concatenate(expected), known)),
        Execution(
            samples=count,
            accuracy=accuracy(np.concatenate(emulated), known),
            mismatches=wrong,
            difference=difference,
        ),
    )


def _pairs(
    model: ModelWrapper,
    quantizers: dict[str, str],
    outcome: Outcome,
    emulator: Emulator,
    codes: NDArray[np.int64],
) -> list[Pair]:
    """What the network's quantizers, and then the accelerator's output, are in software and in the
    emulator, in order of computation."""
    tensors = [tensor for tensor in quantizers.values() if tensor != emulator.input]
    got = emulator.run_layers(codes, [*tensors, emulator.output]) | {emulator.input: codes}
    names = {tensor: both_names(node) for node in model.graph.node for tensor in node.output}
    pairs = [
        Pair(
            names.get(tensor, tensor),
            hardware_order(outcome.trace.codes[name], model.get_tensor_shape(tensor)),
            got[tensor],
        )
        for name, tensor in quantizers.items()
    ]
    last = names.get(emulator.output, emulator.output)
    output = got[emulator.output]
    return [*pairs, Pair(last, outcome.output(output.shape[1]), output)]
