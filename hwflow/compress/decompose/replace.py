"""Plain layers for factors, in the place of the layer that they make up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hwflow.compress.decompose.candidates import Layer
from hwflow.compress.decompose.kernel import Dimensions
from hwflow.compress.decompose.methods import METHODS, FactorShape, Ranks


def factor_layers(layer: Layer, size: Dimensions, method: str, ranks: Ranks) -> nn.Sequential:
    """Untrained layers that can stand in a layer's place; the last has its bias.

    Stride, padding and dilation go to the factor with the kernel's taps; where all have one tap,
    to the first, which so runs at the resolution of the output. No factor ahead of padding has a
    bias, so that zeros stay zeros.

    Args:
        layer: that they replace.
        size: of its weight.
        method: that made the factors.
        ranks: of it.
    """
    shapes = METHODS[method].shapes(size, ranks)
    spatial = 0 if size.taps == 1 else next(i for i, s in enumerate(shapes) if s.taps > 1)
    factors = [
        _factor(layer, shape, spatial=index == spatial, bias=index == len(shapes) - 1)
        for index, shape in enumerate(shapes)
    ]
    return nn.Sequential(*factors).train(layer.training)


def _factor(layer: Layer, shape: FactorShape, *, spatial: bool, bias: bool) -> nn.Module:
    options: dict[str, Any] = {
        "bias": bias and layer.bias is not None,
        "device": layer.weight.device,
        "dtype": layer.weight.dtype,
    }
    if isinstance(layer, nn.Linear):
        return nn.Linear(shape.inputs, shape.outputs, **options)
    if not spatial:
        return type(layer)(shape.inputs, shape.outputs, 1, **options)
    return type(layer)(
        shape.inputs,
        shape.outputs,
        layer.kernel_size,  # type: ignore[arg-type]
        stride=layer.stride,  # type: ignore[arg-type]
        padding=layer.padding,  # type: ignore[arg-type]
        dilation=layer.dilation,  # type: ignore[arg-type]
        padding_mode=layer.padding_mode,
        groups=shape.outputs if shape.depthwise else 1,
        **options,
    )


@torch.no_grad()
def fill(factors: nn.Sequential, weights: Sequence[torch.Tensor], layer: Layer) -> None:
    """Give factors their values.

    Args:
        factors: layers.
        weights: (outputs, inputs of a group, taps) of each.
        layer: that they replace, for its bias and whether it is trained.
    """
    for factor, weight in zip(factors, weights, strict=True):
        assert isinstance(factor, Layer)
        factor.weight.copy_(weight.reshape(factor.weight.shape))
        factor.weight.requires_grad_(layer.weight.requires_grad)
    last = factors[-1]
    assert isinstance(last, Layer)
    if last.bias is not None and layer.bias is not None:
        last.bias.copy_(layer.bias)
        last.bias.requires_grad_(layer.bias.requires_grad)


def put(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of another one.

    Args:
        model: network.
        name: dotted, of the place; not the network itself.
        module: to put there.
    """
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
