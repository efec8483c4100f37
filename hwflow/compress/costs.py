"""What a network costs to compute: parameters, multiply-accumulates, bit operations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

FLOAT_BITS = 32


@dataclass(frozen=True)
class Costs:
    """Costs of one frame.

    Attributes:
        params: trained values.
        macs: multiply-accumulates.
        bops: bit operations: multiply-accumulates times the bits of both operands.
        weight_bits: bits of all weights of linear layers.
    """

    params: int
    macs: int
    bops: int
    weight_bits: int


def network_costs(model: nn.Module, shape: tuple[int, ...]) -> Costs:
    """Count what a float or quantized network costs.

    Args:
        model: network; linear layers are counted.
        shape: of one sample.
    """
    macs = bops = weight_bits = 0

    def count(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal macs, bops, weight_bits
        assert isinstance(layer, nn.Linear)
        size = math.prod(layer.weight.shape)
        bits = _bits(layer)
        macs += size
        weight_bits += size * bits
        bops += size * bits * _width(args[0])

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Linear)]
    model.eval()
    with torch.inference_mode():
        model(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    params = sum(p.numel() for p in model.parameters())
    return Costs(params, macs, bops, weight_bits)


def _bits(layer: nn.Module) -> int:
    quantizer = getattr(layer, "weight_quant", None)
    return FLOAT_BITS if quantizer is None else round(float(quantizer.bit_width()))


def _width(activation: Any) -> int:
    bits = getattr(activation, "bit_width", None)
    return FLOAT_BITS if bits is None else round(float(bits))
