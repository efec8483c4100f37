"""What a network costs to compute: parameters, multiply-accumulates, bit operations."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwflow.costs.hardware import Estimate, Target, total_estimate
from hwflow.costs.layers import FLOAT_BITS, layer_shapes, run_once

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Costs:
    """Costs of one frame.

    Attributes:
        params: trained values.
        macs: multiply-accumulates, of attention between activations too.
        bops: bit operations: multiply-accumulates times the bits of both operands.
        weight_bits: bits of all weights of linear and convolutional layers.
    """

    params: int
    macs: int
    bops: int
    weight_bits: int


def network_costs(model: nn.Module, shape: tuple[int, ...]) -> Costs:
    """Count what a float or quantized network costs.

    Args:
        model: network.
        shape: of one sample.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from hwflow.costs.names import Nameless

    layers = layer_shapes(model, shape)
    # A frozen copy, for the counter hooks into gradients.
    frozen = copy.deepcopy(model).requires_grad_(False)
    # Of attention's fused kernels the counter does not know all.
    fused_off = sdpa_kernel(SDPBackend.MATH)
    with fused_off, FlopCounterMode(display=False) as counter, Nameless():
        run_once(frozen, shape)
    in_layers = sum(layer.macs for layer in layers)
    elsewhere = max(0, counter.get_total_flops() // 2 - in_layers)
    products = sum(layer.macs * layer.weight_bits * layer.input_bits for layer in layers)
    return Costs(
        params=sum(p.numel() for p in model.parameters()),
        macs=in_layers + elsewhere,
        bops=products + elsewhere * FLOAT_BITS**2,
        weight_bits=sum(layer.weights * layer.weight_bits for layer in layers),
    )


def hardware_costs(model: nn.Module, shape: tuple[int, ...], target: Target) -> Estimate:
    """What the linear layers of a network would take as hardware, folded for a target.

    Args:
        model: network.
        shape: of one sample.
        target: cycles a frame, and bits of what is not quantized.

    Returns:
        See `total_estimate`.
    """
    return total_estimate(layer_shapes(model, shape), target)
