"""Units of a network that go together, as slices of its parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

Kind = Literal["channel", "head", "neuron"]
Parameter = Literal[
    "weight",
    "bias",
    "in_proj_weight",
    "in_proj_bias",
    "q_proj_weight",
    "k_proj_weight",
    "v_proj_weight",
]
# For each unit of a group, the indices that belong to it.
Index = tuple[tuple[int, ...], ...]
# Norms that treat each channel by itself, so that the others do not see one go.
CHANNEL_NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Member:
    """Slices of a parameter that belong to a group's units.

    Attributes:
        layer: name of the module.
        parameter: its attribute. Those of `nn.MultiheadAttention` have names of their own.
        dim: of the parameter; 0 counts what a layer produces, 1 what it consumes.
        index: for each unit the indices along `dim`; as many for each.
    """

    layer: str
    parameter: Parameter
    dim: Literal[0, 1]
    index: Index


@dataclass(frozen=True)
class Follower:
    """A norm without parameters: nothing of it can be masked, but its width shrinks too.

    Attributes:
        layer: name of the module.
        index: for each unit its channels.
    """

    layer: str
    index: Index


@dataclass(frozen=True)
class Group:
    """Units of which each can go, with all that belongs to it, and the rest stays whole.

    Zeroing all slices of a unit is the same as taking it out: nothing reads what it leaves. (An
    activation that maps 0 to something else, such as a sigmoid, changes nothing, since the weights
    that would read it are zero as well.)

    Attributes:
        name: of its root, the first layer that produces the units.
        size: number of units.
        kind: what a unit is.
        members: slices of parameters; the root's weight comes first.
        followers: norms without parameters.
    """

    name: str
    size: int
    kind: Kind
    members: tuple[Member, ...]
    followers: tuple[Follower, ...] = ()

    @property
    def width(self) -> int:
        """Channels that are one unit: 1, or those of a head or of a convolution's group."""
        return min(len(member.index[0]) for member in self.members)

    @property
    def masked(self) -> tuple[Member, ...]:
        """Where units are masked: where they are taken in, if anywhere."""
        return tuple(member for member in self.members if member.dim == 1) or self.members

    def step(self, unit: int) -> int:
        """How many units make every width a multiple of `unit` (see `removal.multiple`)."""
        widths = {len(member.index[0]) for member in self.members}
        return math.lcm(*(unit // math.gcd(unit, width) for width in widths))


def prunable(layer: nn.Module) -> bool:
    """Whether a layer is one whose outputs can be pruned: linear, or a convolution."""
    return isinstance(layer, (nn.Linear, *CONVOLUTIONS))
