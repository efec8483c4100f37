"""Which unit multiplies in each layer: DSP blocks or LUTs, by what a board has of both.

The folding is the same for both, and so are the cycles; what differs is what they take. Where the
recipe leaves the choice open, the accelerator's use of a board is the greater of two fractions:
its LUTs of the board's, all layers' together, and its DSP blocks of the board's. The choice makes
that as small as it can:

1. A layer whose LUT unit takes no more LUTs than its DSP unit, which has some around its blocks
   too, gets the LUT unit.
2. The others are on DSP blocks, and are moved to LUTs in the order of the LUTs that a freed DSP
   block costs, fewest first, as far as the use is least.
3. As long as changing one or two layers makes the use smaller, the change that makes it smallest
   is made.

Step 2 is the best that could be done if layers could be split; so the use is above the least
possible one by no more than the fraction that a single layer takes. Block RAM plays no part: both
units keep the same weights.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.board import Board
from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError
from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.layer import HardwareLayer
from hwflow.kernels.layer_names import user_name
from hwflow.kernels.multiplying import MultiplyingLayer, Unit
from hwflow.recipe.hardware import MvauChoice


@dataclass(frozen=True)
class Cost:
    """What a unit takes."""

    lut: int
    dsp: int


@dataclass(frozen=True)
class Layer:
    """A layer that multiplies, and what it takes on each unit that it can have."""

    name: str
    units: Mapping[Unit, Cost]


def choose_mvau(
    model: ModelWrapper, wanted: MvauChoice | Mapping[str, MvauChoice], board: Board
) -> dict[str, Unit]:
    """Give every layer that multiplies its unit.

    Args:
        model: folded hardware graph; its nodes are changed.
        wanted: for all layers (on DSP blocks those whose numbers they multiply), or by patterns
            (regular expressions) of their names, of RTL or in the user's network, of which the last
            that matches a layer holds; layers that none matches are `auto`.
        board: whose LUTs and DSP blocks count.

    Returns:
        The unit of each layer, by name.

    Raises:
        RequestError: a pattern is none, matches no layer, or asks for DSP blocks in a layer whose
            numbers they don't multiply.
    """
    nodes = {
        layer.onnx_node.name: (layer.onnx_node, layer.units(model))
        for layer in map(hardware_layer, model.graph.node)
        if isinstance(layer, MultiplyingLayer)
    }
    layers = [
        Layer(
            name,
            {unit: _cost(hardware_layer(variant), board.part) for unit, variant in units.items()},
        )
        for name, (_, units) in nodes.items()
    ]
    users = {name: user_name(node) for name, (node, _) in nodes.items()}
    asked = _asked(wanted, users)
    fixed: dict[str, Unit] = {}
    for layer in layers:
        unit = asked[layer.name]
        if unit == wanted == "dsp" and "dsp" not in layer.units:
            unit = "lut"
        if unit == "dsp" and "dsp" not in layer.units:
            raise RequestError(
                f"hardware.mvau: {users[layer.name]} can't be on DSP blocks: its weights or inputs"
                " are binary, or its products narrower than any that synthesis gives to one",
                hint="ask for auto or lut",
            )
        if unit != "auto":
            fixed[layer.name] = unit
    chosen = least_use(layers, fixed, _others(model, nodes, board.part), board)
    for name, (node, units) in nodes.items():
        _apply(model, node, units[chosen[name]])
    return chosen


def least_use(
    layers: Sequence[Layer], fixed: Mapping[str, Unit], others: Cost, board: Board
) -> dict[str, Unit]:
    """The units with which the greater fraction of LUTs and DSP blocks is least.

    Args:
        layers: all that multiply.
        fixed: units that are not to be chosen.
        others: what all other layers take.
        board: what there is.
    """
    chosen: dict[str, Unit] = dict(fixed)
    movable = []
    for layer in layers:
        if layer.name in fixed:
            continue
        if set(layer.units) == {"dsp", "lut"} and _luts_for(layer) > 0:
            movable.append(layer)
            chosen[layer.name] = "dsp"
        else:
            chosen[layer.name] = "lut"

    def use(units: Mapping[str, Unit]) -> float:
        taken = [others, *(layer.units[units[layer.name]] for layer in layers)]
        return max(
            _fraction(sum(cost.lut for cost in taken), board.resources.lut),
            _fraction(sum(cost.dsp for cost in taken), board.resources.dsp),
        )

    movable.sort(key=lambda layer: (_luts_for(layer) / max(_dsps_of(layer), 1), layer.name))
    moved = [
        chosen | dict.fromkeys((layer.name for layer in movable[:count]), "lut")
        for count in range(len(movable) + 1)
    ]
    best = min(moved, key=use)
    names = [layer.name for layer in movable]
    changes = [*((name,) for name in names), *itertools.combinations(names, 2)]
    while changes:
        better = min((_changed(best, change) for change in changes), key=use)
        if use(better) >= use(best):
            break
        best = better
    return best


def _luts_for(layer: Layer) -> int:
    """LUTs that it costs to move a layer off its DSP blocks."""
    return layer.units["lut"].lut - layer.units["dsp"].lut


def _dsps_of(layer: Layer) -> int:
    return layer.units["dsp"].dsp


def _changed(units: Mapping[str, Unit], names: Iterable[str]) -> dict[str, Unit]:
    other: dict[Unit, Unit] = {"lut": "dsp", "dsp": "lut"}
    return dict(units) | {name: other[units[name]] for name in names}


def _fraction(taken: int, available: int) -> float:
    if available:
        return taken / available
    return float("inf") if taken else 0.0


def _asked(
    wanted: MvauChoice | Mapping[str, MvauChoice], names: Mapping[str, str]
) -> dict[str, MvauChoice]:
    if isinstance(wanted, str):
        return dict.fromkeys(names, wanted)
    asked: dict[str, MvauChoice] = dict.fromkeys(names, "auto")
    for pattern, choice in wanted.items():
        try:
            matched = [
                name
                for name, user in names.items()
                if any(re.fullmatch(pattern, n) for n in (name, user))
            ]
        except re.error as error:
            raise RequestError(
                f"hardware.mvau: {pattern!r} is no regular expression: {error}",
                hint="give a layer's name, or a pattern such as 'conv.*'",
            ) from error
        if not matched:
            raise RequestError(
                f"hardware.mvau: the pattern {pattern!r} matches no layer that multiplies",
                hint=nearest(pattern, dict.fromkeys([*names, *names.values()])),
            )
        asked |= dict.fromkeys(matched, choice)
    return asked


# ------------------------------------------------------------------------------ hardware layers


def _cost(layer: HardwareLayer, part: str) -> Cost:
    return Cost(int(layer.lut_estimation(part)), int(layer.dsp_estimation(part)))


def _others(model: ModelWrapper, multiplying: Collection[str], part: str) -> Cost:
    """What all layers take that are not among those of some names."""
    rest = [node for node in model.graph.node if node.name not in multiplying]
    costs = [_cost(hardware_layer(node), part) for node in rest]
    return Cost(sum(cost.lut for cost in costs), sum(cost.dsp for cost in costs))


def _apply(model: ModelWrapper, node: onnx.NodeProto, unit: onnx.NodeProto) -> None:
    node.CopyFrom(unit)
    weights = hardware_layer(node).get_input_datatype(1)
    if model.get_tensor_datatype(node.input[1]) != weights:
        model.set_tensor_datatype(node.input[1], weights)
