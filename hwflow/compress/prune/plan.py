"""What a stage prunes: for each layer or group of coupled layers its gates and its settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parametrize

from hwflow.compress.patterns import matched
from hwflow.compress.prune.attention import HeadAttention, input_weights
from hwflow.compress.prune.coupling import Group, Member, find_coupling, find_groups
from hwflow.compress.prune.freezing import layers_matched
from hwflow.compress.prune.gates import Gates, HardConcreteGates
from hwflow.compress.prune.masks import TileMask, UnitMask
from hwflow.costs import layer_shapes
from hwflow.errors import RequestError
from hwflow.recipe import Prune
from hwflow.recipe.stages.prune import STRUCTURED, Policy, Selection

# Kinds of layers that regularizers weigh differently.
KINDS = ("attention", "dense", "conv")
REASONS = 8  # that a message lists
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
# Scores' first values, by method: all above their first threshold, 0.
_STARTS = {"threshold": 1.0, "l0": 2.2}


@dataclass(frozen=True)
class Subject:
    """Units that are ranked together: of one layer's weight, or of one group of coupled layers.

    Attributes:
        name: of the layer, or of the group's first.
        kind: one of `KINDS`.
        selection: how it is pruned.
        gates: of the units.
        tile: rows and columns of a unit of a layer's weight; None: single weights, or a group.
        group: coupled layers; None: one layer.
        parameter: of the layer, that is masked; `nn.MultiheadAttention` has several.
    """

    name: str
    kind: str
    selection: Selection
    gates: Gates
    tile: tuple[int, int] | None = None
    group: Group | None = None
    parameter: str = "weight"

    @property
    def size(self) -> int:
        """Number of units."""
        return self.gates.keep.numel()


@dataclass(frozen=True)
class Plan:
    """What a stage prunes.

    Attributes:
        pools: subjects of each policy, which share its budget.
    """

    pools: tuple[tuple[Subject, ...], ...]

    @property
    def subjects(self) -> list[Subject]:
        """All subjects."""
        return [subject for pool in self.pools for subject in pool]

    @property
    def groups(self) -> list[Subject]:
        """Subjects whose units can be taken out."""
        return [subject for subject in self.subjects if subject.group is not None]


def make_plan(model: nn.Module, settings: Prune, shape: tuple[int, ...]) -> Plan:
    """Find what a stage can prune in a network.

    Args:
        model: float network.
        settings: the stage's.
        shape: of one sample.

    Raises:
        RequestError: a pattern that matches nothing, nothing to prune, a block, N of M or unit that
            does not fit.
    """
    finder = _Finder(model, settings, shape)
    pools = [
        finder.pool(settings.selection(policy), policy, f"policies.{index}.layers")
        for index, policy in enumerate((*settings.policies, None))
    ]
    plan = Plan(tuple(pool for pool in pools if pool))
    if not plan.subjects:
        raise _nothing(model, settings, shape)
    return plan


class _Finder:
    """Finds the subjects of one policy after the other; what one took, later ones leave."""

    def __init__(self, model: nn.Module, settings: Prune, shape: tuple[int, ...]) -> None:
        self.model, self.settings, self.shape = model, settings, shape
        self.frozen = layers_matched(model, settings.freeze, "freeze")
        self.taken = layers_matched(model, settings.skip, "skip")
        self.last = layer_shapes(model, shape)[-1].name
        self.groups: dict[str, list[Group]] = {}

    def pool(self, chosen: Selection, policy: Policy | None, where: str) -> tuple[Subject, ...]:
        """The subjects of a policy; None: of what is left."""
        find = self._coupled if chosen.granularity in STRUCTURED else self._single
        return tuple(find(chosen, policy, where))

    def _coupled(self, chosen: Selection, policy: Policy | None, where: str) -> list[Subject]:
        """Groups, any of whose layers that make the units a policy matches."""
        kind = chosen.granularity
        if kind not in self.groups:
            self.groups[kind] = find_groups(self.model, self.shape, kind, self.settings.unit)
        groups = [
            group
            for group in self.groups[kind]
            if not any(member.layer in self.frozen for member in group.members)
        ]
        names = _of_policy(policy, [n for group in groups for n in makers(group)], where)
        pool = []
        for group in groups:
            made_by = makers(group)
            if names.isdisjoint(made_by) or not self.taken.isdisjoint(made_by):
                continue
            self.taken.update(made_by)
            gates = _gates((group.size,), chosen, self.settings)
            kind_of_layer = _kind(self.model, group.name)
            pool.append(Subject(group.name, kind_of_layer, chosen, gates, group=group))
        return pool

    def _single(self, chosen: Selection, policy: Policy | None, where: str) -> list[Subject]:
        """Layers that a policy matches."""
        weights = prunable_weights(self.model)
        layers = dict.fromkeys(name for name, _ in weights)
        names = _of_policy(policy, [n for n in layers if n not in self.frozen], where)
        # The rows of the last layer are the classes.
        spared = {self.last} if chosen.granularity == "row" else set()
        pool = [
            _layer_subject(name, parameter, self.model, chosen, self.settings)
            for name, parameter in weights
            if name in names - self.taken - spared
        ]
        self.taken |= names
        return pool


def makers(group: Group) -> list[str]:
    """The layers whose outputs a group's units are."""
    return list(dict.fromkeys(m.layer for m in group.members if m.dim == 0))


def _nothing(model: nn.Module, settings: Prune, shape: tuple[int, ...]) -> RequestError:
    """The error that says why there is nothing to prune."""
    message = f"there is nothing to prune with granularity {settings.granularity}"
    hint = (
        "channels are of convolutions, heads of attention, neurons of linear layers that another"
        " one follows; give another granularity, or take layers out of skip and freeze"
    )
    if settings.granularity in STRUCTURED:
        alone = find_coupling(model, shape, settings.granularity).alone
        listed = [f"layer {layer} stays: {reason}" for layer, reason in alone.items()][:REASONS]
        hint = "; ".join([hint, *listed])
    return RequestError(message, hint=hint)


def prunable_weights(model: nn.Module) -> list[tuple[str, str]]:
    """Layers and their parameters that are matrices or kernels: weights of linear and convolutional
    layers, and the projections in `nn.MultiheadAttention`."""
    weights: list[tuple[str, str]] = []
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
            weights.append((name, "weight"))
        elif isinstance(layer, nn.MultiheadAttention | HeadAttention):
            weights += [(name, parameter) for parameter in input_weights(layer)]
    return weights


def put_masks(model: nn.Module, plan: Plan) -> None:
    """Mask the network's weights by the plan's gates.

    Units of a group are masked where others take them in: the network computes the same as if
    everything of the unit was masked, and a masked unit's score still learns, which it could not
    if its values never arose.

    Args:
        model: network.
        plan: made for it.
    """
    for subject in plan.subjects:
        if subject.group is None:
            layer = model.get_submodule(subject.name)
            mask = TileMask(subject.gates, subject.tile)
            parametrize.register_parametrization(layer, subject.parameter, mask)
    spots: dict[tuple[str, str, int], list[tuple[Gates, Member]]] = {}
    for subject in plan.groups:
        assert subject.group is not None
        for member in subject.group.masked:
            spot = (member.layer, member.parameter, member.dim)
            spots.setdefault(spot, []).append((subject.gates, member))
    for (name, parameter, dim), members in spots.items():
        layer = model.get_submodule(name)
        length = getattr(layer, parameter).shape[dim]
        mask_ = UnitMask([gates for gates, _ in members], dim, unit_places(members, length))
        parametrize.register_parametrization(layer, parameter, mask_)


def unit_places(members: Sequence[tuple[Gates, Member]], length: int) -> torch.Tensor:
    """For each slice of a parameter the place of its unit, groups one after the other; -1: none.

    Args:
        members: gates of a group, and its member of the parameter.
        length: of the parameter's dimension.
    """
    places = torch.full((length,), -1)
    offset = 0
    for gates, member in members:
        for unit, slices in enumerate(member.index):
            places[list(slices)] = offset + unit
        offset += gates.keep.numel()
    return places


def _of_policy(policy: Policy | None, names: Sequence[str], where: str) -> set[str]:
    return set(names) if policy is None else matched(policy.layers, names, where)


def _layer_subject(
    name: str, parameter: str, model: nn.Module, chosen: Selection, settings: Prune
) -> Subject:
    weight = getattr(model.get_submodule(name), parameter)
    tile = _tile(name, weight, chosen)
    outputs, inputs = weight.shape[:2]
    shape = tuple(weight.shape)
    if tile is not None:
        shape = (math.ceil(outputs / tile[0]), math.ceil(inputs / tile[1]))
    gates = _gates(shape, chosen, settings)
    return Subject(name, _kind(model, name), chosen, gates, tile, parameter=parameter)


def _tile(name: str, weight: torch.Tensor, chosen: Selection) -> tuple[int, int] | None:
    """Rows and columns of a unit.

    Raises:
        RequestError: a block is larger than the weight, or M does not divide the inputs.
    """
    outputs, inputs = weight.shape[:2]
    if chosen.granularity == "row":
        return 1, inputs
    if chosen.granularity == "column":
        return outputs, 1
    if chosen.granularity == "n_of_m" and inputs % chosen.n_of_m[1]:
        raise RequestError(
            f"n_of_m: {chosen.n_of_m[1]} does not divide the {inputs} inputs of layer {name}",
            hint="add the layer to `skip`, or give it a policy of its own",
        )
    if chosen.granularity != "block":
        return None
    assert chosen.block is not None
    rows, columns = chosen.block
    if rows > outputs or columns > inputs:
        raise RequestError(
            f"block of {rows} x {columns} is larger than layer {name} of {outputs} x {inputs}",
            hint="add the layer to `skip`, or give it a policy of its own",
        )
    return rows, columns


def _gates(shape: tuple[int, ...], chosen: Selection, settings: Prune) -> Gates:
    start = settings.scores.start
    first = _STARTS.get(chosen.method, 0.0) if start is None else start
    if chosen.method == "l0":
        return HardConcreteGates(shape, first)
    return Gates(shape, first, learns=chosen.method != "magnitude")


def _kind(model: nn.Module, name: str) -> str:
    """Which of `KINDS` a layer is: attention where it, or a module around it, is called so."""
    if isinstance(model.get_submodule(name), CONVOLUTIONS):
        return "conv"
    parts = name.split(".")
    around = [model.get_submodule(".".join(parts[: depth + 1])) for depth in range(len(parts))]
    if any("attention" in type(module).__name__.lower() for module in around):
        return "attention"
    return "dense"
