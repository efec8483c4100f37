"""The lowering: from a quantized network (QONNX) to a folded graph of RTL hardware layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

from hwflow.board import Board
from hwflow.costs import target_cycles
from hwflow.dataflow.choose_mvau import choose_mvau
from hwflow.dataflow.finn_setup import prepare_finn
from hwflow.dataflow.folding import fold_for_cycles, layer_cycles
from hwflow.dataflow.folding_file import fold_from_file
from hwflow.dataflow.integers import InputCode, to_integers
from hwflow.exchange.reference import Reference
from hwflow.recipe import Hardware


@dataclass(frozen=True)
class Lowered:
    """A network as hardware.

    Attributes:
        model: RTL hardware layers in the order of computation, folded, without converters and
            FIFOs.
        quantizers: for each activation quantizer of the network (its output tensor in QONNX) the
            tensor of `model` that carries the same integer codes.
        bound_cycles: cycles a frame of the slowest layer.
    """

    model: ModelWrapper
    quantizers: dict[str, str]
    bound_cycles: int


def hardware_passes() -> list[tuple[str, list[Transformation]]]:
    """The transformations from an integer graph to hardware layers, by chapter."""
    from finn.transformation.fpgadataflow.minimize_accumulator_width import (
        MinimizeAccumulatorWidth,
    )

    from hwflow.dataflow.bipolar import WidenBipolar
    from hwflow.dataflow.branches import DuplicateBranches
    from hwflow.dataflow.specialise import NameLayers, SpecialiseToRtl
    from hwflow.dataflow.widths import FitAccumulators, MinimizeThresholds, MinimizeWeights

    return [
        ("branches", [WidenBipolar(), DuplicateBranches()]),
        ("rtl", [SpecialiseToRtl(), NameLayers()]),
        (
            "widths",
            [
                MinimizeWeights(),
                MinimizeAccumulatorWidth(),
                FitAccumulators(),
                MinimizeThresholds(),
            ],
        ),
    ]


def lower(
    network: Path,
    code: InputCode | None,
    hardware: Hardware,
    board: Board,
    *,
    base: Path | None = None,
) -> Lowered:
    """Lower a QONNX network, all of it, to RTL hardware layers and fold them.

    Args:
        network: QONNX file, cleaned.
        code: meaning of the integers that the accelerator takes; None: the codes of the network's
            first quantizer.
        hardware, board, base: see `to_hardware`.

    Raises:
        HwflowError: a layer can't be lowered or folded; names it, why and what to change.
    """
    prepare_finn()
    model, quantizers = to_integers(Reference(network), code, hardware.top_k or 1)
    return to_hardware(model, quantizers, hardware, board, base=base)


def to_hardware(
    model: ModelWrapper,
    quantizers: dict[str, str],
    hardware: Hardware,
    board: Board,
    *,
    base: Path | None = None,
    keep: Callable[[str, ModelWrapper], None] | None = None,
) -> Lowered:
    """Make RTL hardware layers of an integer graph and fold them.

    Args:
        model, quantizers: see `to_integers`.
        hardware: what the recipe asks for.
        board: gives the default clock, and the LUTs and DSP blocks that layers choose between.
        base: folder that `hardware.folding` is relative to.
        keep: called with a chapter's name and the graph after it.

    Raises:
        HwflowError: a layer can't be folded; names it, why and what to change.
    """
    if keep:
        keep("integers", model)
    for chapter, passes in hardware_passes():
        for transformation in passes:
            model = model.transform(transformation)
        if keep:
            keep(chapter, model)
    if hardware.folding is not None:
        fold_from_file(model, (base or Path()) / hardware.folding)
    else:
        fold_for_cycles(model, target_cycles(hardware, board))
    choose_mvau(model, hardware.mvau, board)
    if keep:
        keep("folded", model)
    return Lowered(model, quantizers, max(layer_cycles(model).values()))
