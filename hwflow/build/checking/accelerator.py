"""The accelerator that a quantized network would become, as far as it is known without RTL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwflow.board import Board
from hwflow.build.checking.outcome import CheckedLayer, Estimates, HostPart
from hwflow.recipe import Hardware

if TYPE_CHECKING:
    import onnx
    from qonnx.core.modelwrapper import ModelWrapper

    from hwflow.dataflow.integers import InputCode
    from hwflow.host import Division

QUANTIZES = "the accelerator takes integers: the host quantizes"


@dataclass(frozen=True)
class Accelerator:
    """What was found of it: see the attributes of `outcome.Check`."""

    bound_cycles: int
    layers: tuple[CheckedLayer, ...]
    estimates: Estimates
    host: tuple[HostPart, ...]


def divided(
    network: onnx.ModelProto, code: InputCode | None, hardware: Hardware, top_k: int | None
) -> Division:
    """What of a network is the accelerator's, in integers.

    Args:
        network: QONNX in normal form.
        code: what the data's integers mean; None: the data are real values.
        hardware: what the recipe asks for.
        top_k: classes that a model file puts out; None: it puts out numbers.

    Raises:
        HwflowError: hardware does not take the network; names the layer, why, and what to do.
    """
    from hwflow.build.top_k import check_chosen, choosing
    from hwflow.dataflow.finn_setup import prepare_finn
    from hwflow.host import divide

    prepare_finn()
    division = divide(network, code, choosing(hardware, top_k).top_k or 1)
    check_chosen(division, hardware)
    return division


def folded(
    division: Division, hardware: Hardware, top_k: int | None, board: Board, base: Path
) -> Accelerator:
    """Take a network in integers through what a build does with it up to RTL.

    Args:
        division: the network.
        hardware: what the recipe asks for.
        top_k: classes that a model file puts out; None: it puts out numbers.
        board: to build for.
        base: folder that `hardware.folding` is relative to.

    Raises:
        HwflowError: no hardware layer takes a part of it, or it can't be folded so, or the folding
            file is wrong; names the layer, why, and what to do.
    """
    from hwflow.build.top_k import choosing
    from hwflow.dataflow.folding import layer_cycles
    from hwflow.dataflow.lower import to_hardware
    from hwflow.dataflow.stitch import insert_converters

    chosen = choosing(hardware, top_k)
    lowered = to_hardware(division.graph, division.quantizers, chosen, board, base=base)
    model = insert_converters(lowered.model)
    layers = tuple(_layers(model, board.part))
    total = {
        key: sum(getattr(layer.estimates, key) for layer in layers)
        for key in Estimates.model_fields
    }
    bound = max(layer_cycles(model).values())
    return Accelerator(bound, layers, Estimates(**total), tuple(_host(division)))


def _layers(model: ModelWrapper, part: str) -> list[CheckedLayer]:
    from hwflow.dataflow.estimates import estimates as estimated
    from hwflow.dataflow.folding import layer_cycles
    from hwflow.kernels.catalogue import hardware_layer
    from hwflow.kernels.layer_names import user_name

    cycles, estimates = layer_cycles(model), estimated(model, part)
    layers = []
    for node in model.graph.node:
        layer = hardware_layer(node)
        choices = layer.choices()
        layers.append(
            CheckedLayer(
                name=user_name(node),
                rtl=node.name,
                kernel=layer.KERNEL,
                folding={key: int(layer.get_nodeattr(_attribute(key))) for key in choices},
                choices=choices,
                cycles=cycles[node.name],
                estimates=Estimates(
                    **estimates[node.name].model_dump(include=set(Estimates.model_fields))
                ),
            )
        )
    return layers


def _attribute(key: str) -> str:
    return key.upper() if key in ("pe", "simd") else key


def _host(division: Division) -> list[HostPart]:
    """What the host does, and why."""
    parts = []
    if division.head is not None:
        reason = division.head.reason or QUANTIZES
        parts.append(
            HostPart(place="before", operations=tuple(division.head.operations), reason=reason)
        )
    if division.tail is not None:
        reason = division.tail.reason or ""
        parts.append(
            HostPart(place="behind", operations=tuple(division.tail.operations), reason=reason)
        )
    return parts
