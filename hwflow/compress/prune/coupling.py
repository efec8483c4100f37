"""The units of a network that can be pruned, and which slices of which parameters go with each."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from hwflow.compress.prune.attention import head_groups
from hwflow.compress.prune.dependency import coupled_channels
from hwflow.compress.prune.exactness import exact_groups
from hwflow.compress.prune.groups import Group, Member
from hwflow.errors import RequestError

__all__ = ["Coupling", "Group", "Member", "find_coupling", "find_groups"]


@dataclass(frozen=True)
class Coupling:
    """What can be pruned in a network.

    Attributes:
        groups: of units, in the order of their root layers.
        alone: of layers that can't be pruned, why.
    """

    groups: tuple[Group, ...]
    alone: dict[str, str] = field(default_factory=dict)


def find_groups(
    model: nn.Module, shape: tuple[int, ...], granularity: str, unit: int
) -> list[Group]:
    """The groups of units of a network.

    Args:
        model: float network without parametrizations; left as it is.
        shape: of one sample.
        granularity: what units are: `channel` (of convolutions, with all that depends on them),
            `neuron` (of linear layers) or `head` (of attention).
        unit: that widths shall be multiples of; groups that are too narrow to lose any are left
            out.

    Returns:
        Groups in the order of their root layers. None holds the network's outputs or inputs.

    Raises:
        RequestError: all groups are too narrow.
    """
    groups = find_coupling(model, shape, granularity).groups
    fitting = [group for group in groups if group.size > group.step(unit)]
    if groups and not fitting:
        widest = max(groups, key=lambda group: group.size * group.width)
        raise RequestError(
            f"unit of {unit} leaves nothing to take out: the widest layer with {granularity}s to"
            f" prune, {widest.name}, is {widest.size * widest.width} wide",
            hint="lower unit",
        )
    return fitting


def find_coupling(model: nn.Module, shape: tuple[int, ...], granularity: str) -> Coupling:
    """As `find_groups`, of any width, with the reasons why layers are left alone."""
    alone: dict[str, str] = {}
    if granularity == "head":
        groups = head_groups(model)
    else:
        coupled = coupled_channels(model, shape)
        groups = [group for group in coupled.groups if group.kind == granularity]
        alone = coupled.alone
    exact, others = exact_groups(model, shape, groups)
    inexact = "a trial showed that the network changes otherwise when its units are taken out"
    order = {name: index for index, (name, _) in enumerate(model.named_modules())}
    exact.sort(key=lambda group: order[group.name])
    return Coupling(tuple(exact), {**alone, **{group.name: inexact for group in others}})
