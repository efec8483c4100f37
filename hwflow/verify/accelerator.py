"""A whole accelerator: software, emulator and RTL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from hwflow.data import Dataset
from hwflow.dataflow.finn_setup import prepare_finn
from hwflow.facts.verified import VerificationFacts
from hwflow.host import Software
from hwflow.host.input_codes import accelerator_input
from hwflow.recipe.hardware import Stall, Verify
from hwflow.simulate import Simulator
from hwflow.verify.emulator import verify_emulator
from hwflow.verify.rtl import performance, verify_rtl

# Frames that measure the speed without stalls, where no pattern of the recipe is without.
UNSTALLED = 20


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
) -> VerificationFacts:
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
    """
    prepare_finn()
    model = ModelWrapper(str(rtl / "hardware.onnx"))
    note(f"software and emulator on {len(data.test)} samples")
    expected, emulated = verify_emulator(software, model, quantizers, data)
    if simulator is None:
        return VerificationFacts(software=expected, emulator=emulated)
    count = len(data.test) if settings.rtl_frames == "all" else settings.rtl_frames
    codes = accelerator_input(data, data.test.part(0, count), software, model)
    note(f"RTL on {len(codes)} frames under {len(settings.stalls)} stall patterns")
    labels = data.test.labels[:count] if data.labelled else None
    executions = verify_rtl(
        simulator, model, codes, labels, settings.stalls, seed, software.classes
    )
    free = next((result for e, result in executions if e.stall == Stall()), None)
    free = free or simulator.run(codes[:UNSTALLED], seed=seed)
    return VerificationFacts(
        software=expected,
        emulator=emulated,
        rtl=tuple(execution for execution, _ in executions),
        performance=performance(free, simulator.design.bound_cycles),
    )
