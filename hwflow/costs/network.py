"""What a network costs to compute: parameters, multiply-accumulates, bit operations."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hwflow.costs.hardware import Estimate, Target, layer_estimate
from hwflow.costs.layers import FLOAT_BITS, layer_shapes, run_once


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
    layers = layer_shapes(model, shape)
    # A frozen copy, for the counter hooks into gradients.
    frozen = copy.deepcopy(model).requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
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


def hardware_costs(
    model: nn.Module, shape: tuple[int, ...], target: Target, bits: tuple[int, int] | None = None
) -> Estimate:
    """What the linear layers of a network would take as hardware, folded for a target.

    Args:
        model: network.
        shape: of one sample.
        target: cycles a frame.
        bits: of weights and activations of layers that are not quantized; default: the target's.

    Returns:
        Cycles of the slowest layer, and the sum of all layers' resources. An estimate: converters,
        FIFOs and thresholds are not in it.
    """
    found = [
        layer_estimate(layer, target, bits or target.bits) for layer in layer_shapes(model, shape)
    ]
    return Estimate(
        cycles=max((e.cycles for e in found), default=0),
        lut=sum(e.lut for e in found),
        dsp=sum(e.dsp for e in found),
        bram18=sum(e.bram18 for e in found),
    )
