"""What the compact network costs, from how many units of each group stay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from hwflow.compress.prune.groups import Group, Member
from hwflow.costs import LayerShape, Target, fold, layer_shapes, total_estimate
from hwflow.errors import RequestError
from hwflow.recipe.stages.prune import Cost


class CompactCosts:
    """Costs of a network without some units, without building it.

    Args:
        model: dense network.
        shape: of one sample.
        groups: of units that may go.
        target: what hardware is asked for.
    """

    def __init__(
        self, model: nn.Module, shape: tuple[int, ...], groups: Sequence[Group], target: Target
    ) -> None:
        self.layers, self.target = layer_shapes(model, shape), target
        self.names = [group.name for group in groups]
        self.sizes = [group.size for group in groups]
        self.foldings = {
            layer.name: fold(layer.mw, layer.mh, layer.positions, target.cycles)
            for layer in self.layers
        }
        # For each layer: by how much a unit of a group shrinks its outputs and inputs.
        self.shrinks: dict[str, list[tuple[int, int, int]]] = {}
        for index, group in enumerate(groups):
            for member in group.members:
                for layer, each in _shrinking(model, member):
                    self.shrinks.setdefault(layer, []).append((index, member.dim, each))
        self.known: dict[tuple[Cost, tuple[int, ...]], float] = {}

    def compact_layers(self, counts: Sequence[int]) -> list[LayerShape]:
        """The layers' shapes with as many units of each group as `counts` says."""
        return [self._compact(layer, counts) for layer in self.layers]

    def cost(self, of: Cost, counts: Sequence[int]) -> float:
        """What the network costs with as many units of each group as `counts` says."""
        key = (of, tuple(counts))
        if key not in self.known:
            self.known[key] = self._cost(of, self.compact_layers(counts))
        return self.known[key]

    def dense(self, of: Cost) -> float:
        """What the network costs with all units.

        Raises:
            RequestError: nothing.
        """
        cost = self.cost(of, self.sizes)
        if cost == 0:
            raise RequestError(
                f"the network takes no {of} before pruning, so that a budget of it means nothing",
                hint="give a budget of macs, cycles or lut",
            )
        return cost

    def _compact(self, layer: LayerShape, counts: Sequence[int]) -> LayerShape:
        lost = [0, 0]
        for index, dim, each in self.shrinks.get(layer.name, ()):
            lost[dim] += (self.sizes[index] - counts[index]) * each
        left = layer.mh - lost[0]
        # Groups of a convolution go whole.
        groups = layer.groups * left // layer.mh if layer.groups > 1 else 1
        return replace(layer, mh=left, mw=layer.mw - lost[1], groups=groups)

    def _cost(self, of: Cost, layers: Sequence[LayerShape]) -> float:
        if of == "macs":
            return sum(layer.macs for layer in layers)
        if of == "cycles":
            return max(self._cycles(layer) for layer in layers)
        estimate = total_estimate(layers, self.target)
        return estimate.lut if of == "lut" else estimate.bram18

    def _cycles(self, layer: LayerShape) -> int:
        """Cycles at the dense network's folding."""
        folding = self.foldings[layer.name]
        steps = math.ceil(layer.mh / folding.pe) * math.ceil(layer.mw / folding.simd)
        return steps * layer.positions


def _shrinking(model: nn.Module, member: Member) -> list[tuple[str, int]]:
    """The layers, as costs name them, that a unit's slices belong to, and by how much each of them
    shrinks."""
    slices = len(member.index[0])
    if member.parameter == "in_proj_weight":
        return [(f"{member.layer}.{part}_proj", slices // 3) for part in "qkv"]
    if member.parameter.endswith("_proj_weight"):
        return [(f"{member.layer}.{member.parameter.removesuffix('_weight')}", slices)]
    if member.parameter != "weight":
        return []
    weight = model.get_submodule(member.layer).weight
    assert isinstance(weight, torch.Tensor)
    kernel = math.prod(weight.shape[2:]) if member.dim == 1 else 1
    return [(member.layer, slices * kernel)]


def kept_share(costs: CompactCosts, of: Cost, counts: Mapping[str, int]) -> float:
    """Share of the dense network's cost that stays.

    Args:
        costs: of the network.
        of: which cost.
        counts: units that stay, by group.
    """
    return costs.cost(of, [counts[name] for name in costs.names]) / costs.dense(of)
