"""Which slices of which parameters go together when a unit is taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn


@dataclass(frozen=True)
class Member:
    """Slices of a parameter; of each unit the indices along `dim` that belong to it."""

    layer: str
    parameter: Literal["weight", "bias"]
    dim: int
    index: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Group:
    """Units that can be taken out, and what goes with each."""

    name: str
    size: int
    kind: Literal["channel", "head", "neuron", "row", "column"]
    members: tuple[Member, ...]


def find_groups(
    model: nn.Module, shape: tuple[int, ...], granularity: str, unit: int
) -> list[Group]:
    """Groups of a chain of layers."""
    groups: list[Group] = []
    layers = [(n, m) for n, m in model.named_modules() if not list(m.children()) and n]
    linear = (nn.Linear, nn.Conv1d, nn.Conv2d)
    for place, (name, layer) in enumerate(layers):
        if not isinstance(layer, linear):
            continue
        if isinstance(layer, nn.Linear) != (granularity == "neuron"):
            continue
        size = layer.weight.shape[0]
        own = tuple((i,) for i in range(size))
        members = [Member(name, "weight", 0, own)]
        if layer.bias is not None:
            members.append(Member(name, "bias", 0, own))
        for other, after in layers[place + 1 :]:
            if isinstance(after, linear):
                each = after.weight.shape[1] // size
                index = tuple(tuple(range(i * each, (i + 1) * each)) for i in range(size))
                members.append(Member(other, "weight", 1, index))
                kind: Literal["channel", "neuron"] = (
                    "neuron" if granularity == "neuron" else "channel"
                )
                groups.append(Group(name, size, kind, tuple(members)))
                break
            if isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d):
                members += [Member(other, "weight", 0, own), Member(other, "bias", 0, own)]
    return groups
