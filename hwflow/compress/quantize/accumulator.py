"""Accumulator-aware weights: their bound on integers, and weights that keep it without A2Q."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from brevitas.core.scaling import ScalingImplType
from brevitas.inject.enum import ScalingPerOutputType
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from brevitas.proxy import DecoupledWeightQuantWithInputProxyFromInjector
from brevitas.quant import Int8WeightPerTensorFloat
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from hwflow.compress.quantize.tracing import TRANSPOSED
from hwflow.costs.layers import run_once
from hwflow.errors import HwflowError, RequestError


@dataclass(frozen=True)
class BoundedLayer:
    """A layer whose weights were trained for an accumulator.

    Attributes:
        name, layer: it.
        weight: its quantized weights.
        input_bits: of its inputs.
        input_signed: whether they can be negative.
        accumulator_bits: of the accumulator, sign included.
    """

    name: str
    layer: Any
    weight: IntQuantTensor
    input_bits: int
    input_signed: bool
    accumulator_bits: int

    def codes(self) -> torch.Tensor:
        """Integer weights, a row for each output channel."""
        codes = torch.round(self.weight.value / self.weight.scale)
        if isinstance(self.layer, TRANSPOSED):
            codes = codes.transpose(0, 1)
        return codes.flatten(1)

    def greatest(self) -> int:
        """The greatest magnitude that a sum of products can have, whatever the input.

        Inputs of N bits are in [0, 2^N - 1], or [-2^(N-1), 2^(N-1) - 1]; one bit is -1 or +1.
        """
        codes = self.codes().double()
        positive, negative = codes.clamp(min=0).sum(1), (-codes).clamp(min=0).sum(1)
        if not self.input_signed:
            high, low = 2.0**self.input_bits - 1, 0.0
        elif self.input_bits == 1:
            high, low = 1.0, 1.0
        else:
            high, low = 2.0 ** (self.input_bits - 1) - 1, 2.0 ** (self.input_bits - 1)
        sums = torch.maximum(positive * high + negative * low, positive * low + negative * high)
        return int(sums.max())


@torch.no_grad()
def bounded_layers(model: nn.Module, shape: tuple[int, ...]) -> list[BoundedLayer]:
    """The layers with accumulator-aware weights, in order of their use.

    Args:
        model: Brevitas network; run once, in eval mode.
        shape: of one sample.
    """
    bounded: list[BoundedLayer] = []

    def record(name: str) -> Callable[..., None]:
        def hook(layer: Any, args: tuple[Any, ...], output: Any) -> None:
            quant_input = layer.input_quant(args[0])
            bits = layer.weight_quant.tensor_quant.pre_scaling_impl.accumulator_bit_width()
            bounded.append(
                BoundedLayer(
                    name,
                    layer,
                    layer.quant_weight(quant_input),
                    round(float(quant_input.bit_width)),
                    bool(quant_input.signed),
                    round(float(bits)),
                )
            )

        return hook

    hooks = [
        module.register_forward_hook(record(name))
        for name, module in model.named_modules()
        if isinstance(module, QuantWeightBiasInputOutputLayer)
        and isinstance(module.weight_quant, DecoupledWeightQuantWithInputProxyFromInjector)
    ]
    if hooks:
        run_once(model, shape)
    for handle in hooks:
        handle.remove()
    return bounded


def check_room(model: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise if an accumulator is so narrow that a layer's weights could be nothing but zeros.

    Raises:
        RequestError: names the layer.
    """
    for bounded in bounded_layers(model, shape):
        greatest_input = 2 ** (bounded.input_bits - bounded.input_signed)
        if 2 ** (bounded.accumulator_bits - 1) - 1 < greatest_input:
            raise RequestError(
                f"layer {bounded.name}: an accumulator of {bounded.accumulator_bits} bits holds no"
                f" product of inputs of {bounded.input_bits} bits",
                hint="raise accumulator_bits, or lower the bits of activations and input",
            )


def check_accumulators(model: nn.Module, shape: tuple[int, ...]) -> None:
    """Raise if a sum of products could leave an accumulator that weights were trained for.

    Raises:
        HwflowError: names the layer.
    """
    for bounded in bounded_layers(model, shape):
        most = 2 ** (bounded.accumulator_bits - 1) - 1
        if bounded.greatest() > most:
            raise HwflowError(
                f"layer {bounded.name}: sums reach {bounded.greatest()}, and an accumulator of"
                f" {bounded.accumulator_bits} bits holds {most}",
                hint="this is a defect; please report it with the recipe",
            )


def without_bounds(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Give accumulator-aware layers plain quantizers that make the same weights, in place.

    Brevitas exports what those weights were trained from, not what they are.

    Args:
        model: Brevitas network in eval mode.
        shape: of one sample.
    """
    for bounded in bounded_layers(model, shape):
        weight = bounded.weight
        bits = round(float(weight.bit_width))
        per_channel = weight.scale.numel() > 1
        scaling = ScalingPerOutputType.CHANNEL if per_channel else ScalingPerOutputType.TENSOR
        bounded.layer.weight.data.copy_(weight.value)
        quantizer = Int8WeightPerTensorFloat.let(
            bit_width=bits,
            scaling_per_output_type=scaling,
            scaling_impl_type=ScalingImplType.CONST,
            scaling_init=weight.scale.detach() * (2 ** (bits - 1) - 1),
        )
        bounded.layer.weight_quant = quantizer.proxy_class(bounded.layer, quantizer)
    return model.eval()
