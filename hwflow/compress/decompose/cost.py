"""What a layer and its factors cost, each at the resolution that it runs at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from hwflow.compress.decompose.kernel import Dimensions
from hwflow.compress.decompose.methods import FactorShape, Method, Ranks
from hwflow.costs import LayerShape, Target, layer_estimate
from hwflow.costs.layers import run_once

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


class Cost(NamedTuple):
    """In what the recipe counts, and in multiply-accumulates; the first decides."""

    value: int
    macs: int

    def is_below(self, other: Cost) -> bool:
        """Lower in one of the two and higher in none."""
        return self.value <= other.value and self.macs <= other.macs and self != other


@dataclass(frozen=True)
class Use:
    """A layer's positions in a frame: of its input (before any stride) and of its output."""

    before: int
    after: int


def uses(model: nn.Module, shape: tuple[int, ...]) -> dict[str, list[Use]]:
    """How a network uses its layers, in order of their first use.

    Args:
        model: network; run once in eval mode.
        shape: of one sample.
    """
    by_layer: dict[str, list[Use]] = {}

    def record(
        name: str, layer: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> None:
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        inputs = weight.shape[1] * getattr(layer, "groups", 1)
        use = Use(args[0].numel() // inputs, output.numel() // len(weight))
        by_layer.setdefault(name, []).append(use)

    hooks = [
        module.register_forward_hook(partial(record, name))
        for name, module in model.named_modules()
        if type(module) in LAYERS
    ]
    run_once(model, shape)
    for hook in hooks:
        hook.remove()
    return by_layer


class CostModel:
    """Costs of one layer and of what may replace it.

    Args:
        kind: what is counted, as in the recipe.
        size: of the layer's weight.
        layer_uses: of the layer in a frame.
        target: of the hardware.
    """

    def __init__(self, kind: str, size: Dimensions, layer_uses: list[Use], target: Target) -> None:
        self.size, self.uses = size, layer_uses
        self._count = partial(_COUNTS[kind], target=target)

    def before(self) -> Cost:
        """Of the layer as it is."""
        return self._cost((FactorShape(self.size.outputs, self.size.inputs, self.size.taps),))

    def after(self, method: Method, ranks: Ranks) -> Cost:
        """Of the factors."""
        return self._cost(method.shapes(self.size, ranks))

    def _cost(self, factors: tuple[FactorShape, ...]) -> Cost:
        shapes = [_layer_shape(factor, use) for factor in factors for use in self.uses]
        return Cost(self._count(shapes), sum(shape.macs for shape in shapes))


def _layer_shape(factor: FactorShape, use: Use) -> LayerShape:
    return LayerShape(
        name="",
        mw=factor.taps if factor.depthwise else factor.taps * factor.inputs,
        mh=factor.outputs,
        positions=use.before if factor.before else use.after,
        groups=factor.outputs if factor.depthwise else 1,
    )


def _macs(shapes: list[LayerShape], target: Target) -> int:
    return sum(shape.macs for shape in shapes)


def _params(shapes: list[LayerShape], target: Target) -> int:
    return sum(shape.weights for shape in shapes)


def _cycles(shapes: list[LayerShape], target: Target) -> int:
    """Layers work at the same time, each on another frame: the slowest counts."""
    return max(layer_estimate(shape, target).cycles for shape in shapes)


def _luts(shapes: list[LayerShape], target: Target) -> int:
    return sum(layer_estimate(shape, target).lut for shape in shapes)


def _bram18(shapes: list[LayerShape], target: Target) -> int:
    return sum(layer_estimate(shape, target).bram18 for shape in shapes)


_COUNTS: dict[str, Callable[..., int]] = {
    "macs": _macs,
    "params": _params,
    "cycles": _cycles,
    "lut": _luts,
    "bram18": _bram18,
}


def network_cost(kind: str, shapes: list[LayerShape], target: Target) -> Cost:
    """Of all layers of a network.

    Args:
        kind: what is counted, as in the recipe.
        shapes: of its layers.
        target: of the hardware.
    """
    return Cost(_COUNTS[kind](shapes, target), sum(shape.macs for shape in shapes))
