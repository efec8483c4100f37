"""One case through all executions: software, emulator, RTL; and in what way it fails."""

from __future__ import annotations

import json
import re
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors
from hwflow.dataflow.lower import Lowered, lower
from hwflow.dataflow.stitch import edge_name, insert_converters, insert_fifos
from hwflow.emulate import Emulator
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Reference
from hwflow.host.input_codes import hardware_order
from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.vvau.op import VVAU_rtl
from hwflow.kernels.windows.reading import reader_of
from hwflow.recipe import Hardware, Stall
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator
from hwflow.simulate.sizing import size_fifos
from hwflow.verify.comparison import Pair, first_difference
from hwflow.verify.rtl import verify_rtl
from tests.support.fuzzing.case import Case, Network
from tests.support.hardware import PYNQ

# What hwflow's documentation says that it does not take; anything else that fails is a defect.
REFUSALS = (
    "the sign differs within a channel of a flattened image",
    "a value of more than 24 bits",
    "a single window that sees",
)


@dataclass(frozen=True)
class Failure:
    """How a case fails.

    Attributes:
        way: what failures have in common that are one defect.
        message: all of it.
    """

    way: str
    message: str


class MismatchError(Exception):
    """Two executions differ."""


def outcome(case: Case, cache: Path) -> Failure | str:
    """`ok`, or `refused`, or how the case fails.

    Args:
        case: what to run.
        cache: of compiled simulations.
    """
    try:
        check(case, cache)
    except HwflowError as error:
        if any(refusal in str(error) for refusal in REFUSALS):
            return "refused"
        return Failure(_way(error), str(error))
    except MismatchError as error:
        return Failure(str(error).split(":")[0], str(error))
    except Exception as error:  # The tool must not break, whatever it is that breaks.
        return Failure(_way(error), traceback.format_exc())
    return "ok"


def _way(error: Exception) -> str:
    """The kind of an error and its message without names and numbers."""
    text = re.sub(r"\S*[\d/_]\S*", "*", str(error).splitlines()[0] if str(error) else "")
    return f"{type(error).__name__}: {text[:80]}"


def check(case: Case, cache: Path) -> None:
    """Compare all executions of a case, bit by bit.

    Raises:
        MismatchError: two differ; says where.
        Exception: what the toolchain raised.
    """
    network = case.build()
    hardware = hardware_of(case, network)
    codes = network.codes(case.frames)
    compare_emulator(network, hardware, codes)
    if case.rtl:
        compare_rtl(case, hardware, codes, cache)


def hardware_of(case: Case, network: Network) -> Lowered:
    """The hardware graph, folded as the case says."""
    with tempfile.TemporaryDirectory() as scratch:
        path, folding = Path(scratch) / "network.onnx", Path(scratch) / "folding.yaml"
        onnx.save(network.model, str(path))
        mvau = cast(Any, case.mvau)
        folding.write_text("{}")
        classes = network.model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
        top_k = min(case.top_k, classes)
        least = Hardware(mvau=mvau, folding=str(folding), top_k=top_k)
        hardware = lower(path, network.code, least, PYNQ)
        if case.folding is None:
            return hardware
        folding.write_text(json.dumps(random_folding(hardware.model, case.folding)))
        return lower(path, network.code, least, PYNQ)


def random_folding(model: ModelWrapper, seed: int) -> dict[str, dict[str, int]]:
    """A folding file for a graph: any that the file may have."""
    random = np.random.default_rng(seed)
    folding: dict[str, dict[str, int]] = {}
    for node in model.graph.node:
        layer, reader = hardware_layer(node), reader_of(model, node)
        if reader is not None and (reader.CHANNEL_BY_CHANNEL or random.random() < 0.3):
            continue  # As its reader.
        sizes, choices = layer.sizes(), layer.choices()
        chosen = {key: int(random.choice(divisors(size))) for key, size in sizes.items()}
        if isinstance(layer, VVAU_rtl):
            chosen["simd"] = int(random.choice(choices["simd"]))
        if "parallel_window" in choices and reader is not None and random.random() < 0.4:
            chosen = {"simd": sizes["simd"], "parallel_window": 1}
        folding[node.name] = chosen
    return folding


def compare_emulator(network: Network, hardware: Lowered, codes: np.ndarray) -> None:
    """The emulator against the software, in every quantizer and the class.

    Raises:
        MismatchError: they differ.
    """
    trace = Reference(network.model).run(network.inputs(codes))
    model, emulator = hardware.model, Emulator(hardware.model)
    taken = hardware_order(codes, model.get_tensor_shape(emulator.input))
    got = emulator.run_layers(taken) | {emulator.input: taken}
    pairs = [
        Pair(tensor, hardware_order(trace.codes[name], model.get_tensor_shape(tensor)), got[tensor])
        for name, tensor in hardware.quantizers.items()
    ]
    labels = got[emulator.output]
    difference = first_difference([*pairs, Pair("label", trace.classes(labels.shape[1]), labels)])
    if difference is not None:
        raise MismatchError(f"emulator and software differ: {difference}")


def compare_rtl(case: Case, hardware: Lowered, codes: np.ndarray, cache: Path) -> None:
    """Every stream of the RTL against the emulator, under the case's stalls.

    Raises:
        MismatchError: they differ.
    """
    shape = hardware.model.get_tensor_shape(hardware.model.graph.input[0].name)
    taken = hardware_order(codes, shape)
    if case.fifos is None:
        sized = size_fifos(hardware.model, taken, PYNQ.part, PYNQ.clock_mhz, cache)
        if sized.cycles_per_frame > 1.002 * sized.bound_cycles:
            raise MismatchError(
                f"slower than the bound: {sized.cycles_per_frame} cycles a frame, not"
                f" {sized.bound_cycles}"
            )
        model = sized.model
    else:
        converted = insert_converters(hardware.model)
        model = insert_fifos(converted, _random_depths(converted, case.fifos))
    with tempfile.TemporaryDirectory() as scratch:
        generate(model, Path(scratch), PYNQ.part, PYNQ.clock_mhz)
        simulator = Simulator(Path(scratch), cache, optimise=False)
        stall = Stall(source=case.source, sink=case.sink)
        ((execution, _),) = verify_rtl(simulator, model, taken, None, [stall], seed=len(codes))
    if execution.difference is not None:
        raise MismatchError(f"RTL and emulator differ: {execution.difference}")


def _random_depths(model: ModelWrapper, seed: int) -> dict[str, int]:
    """FIFO depths: none or few words, but before joins, where any depth may be needed, two whole
    frames."""
    random = np.random.default_rng(seed)
    depths = {}
    for node in model.graph.node:
        layer = getCustomOp(node)
        streams = [n for n, name in enumerate(node.input) if model.find_producer(name) is not None]
        for into in streams:
            few = int(random.choice([0, 0, 3, 5]))
            beats = int(np.prod(layer.get_folded_input_shape(into)[:-1]))
            depths[edge_name(model, node, into)] = few if len(streams) == 1 else 2 * beats + 2
    return depths
