"""The Brevitas quantizers that hardware can take: symmetric, zero point 0, scales per tensor
for activations."""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
from brevitas.core.quant import ClampedBinaryQuant
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.core.stats import StatsOp
from brevitas.inject.enum import QuantType, ScalingPerOutputType
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerTensorFloat,
    Int32Bias,
    Uint8ActPerTensorFloat,
)
from torch import nn

from hwflow.recipe import Quantize

# At one and two bits the greatest weight says nothing about the others: a scale from it rounds
# most of them to zero. Their mean does better (Rastegari et al. 2016; Li et al. 2016).
MEAN_SCALED_BITS = 2
ROUND_BITS = 8


def weight_bits(settings: Quantize) -> int:
    """Bits of the weights; ternary ones are symmetric two-bit numbers."""
    return 2 if settings.weight_bits == "ternary" else settings.weight_bits


def _restriction(settings: Quantize) -> dict[str, Any]:
    if settings.scale == "float":
        return {}
    return {"restrict_scaling_type": RestrictValueType.POWER_OF_TWO}


def quant_linear(layer: nn.Linear, settings: Quantize, *, last: bool) -> qnn.QuantLinear:
    """A quantized layer with the weights of `layer`.

    The last layer is scaled per tensor, so that its logits compare as integers, and its bias is
    an integer in the accumulator's scale. Other biases stay real: they end up in thresholds.
    """
    bits = weight_bits(settings)
    per_channel = settings.weight_scaling == "per_channel" and not last
    options: dict[str, Any] = {
        "bit_width": bits,
        "scaling_per_output_type": ScalingPerOutputType.CHANNEL
        if per_channel
        else ScalingPerOutputType.TENSOR,
        **_restriction(settings),
    }
    if bits <= MEAN_SCALED_BITS:
        options["scaling_stats_op"] = StatsOp.AVE
    if bits == 1:
        options |= {"quant_type": QuantType.BINARY, "scaling_impl_type": ScalingImplType.STATS}
    quantized = qnn.QuantLinear(
        layer.in_features,
        layer.out_features,
        bias=layer.bias is not None,
        weight_quant=Int8WeightPerTensorFloat.let(**options),
        bias_quant=Int32Bias if last and layer.bias is not None else None,
    )
    quantized.load_state_dict(layer.state_dict(), strict=False)
    return quantized


def binary_activation(limit: float = 1.0) -> qnn.QuantIdentity:
    """-limit or +limit, by sign; gradients pass within that range."""
    return qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFloat.let(
            tensor_quant=ClampedBinaryQuant,
            quant_type=QuantType.BINARY,
            bit_width=1,
            scaling_impl_type=ScalingImplType.CONST,
            scaling_init=limit,
        ),
        return_quant_tensor=True,
    )


def relu_activation(settings: Quantize) -> nn.Module:
    """What takes a ReLU's place: unsigned codes, or a sign where activations have one bit."""
    if settings.activation_bits == 1:
        return binary_activation()
    return qnn.QuantReLU(
        act_quant=Uint8ActPerTensorFloat.let(
            bit_width=settings.activation_bits, **_restriction(settings)
        ),
        return_quant_tensor=True,
    )


def signed_activation(settings: Quantize) -> nn.Module:
    """Signed codes, where a linear layer is followed by no ReLU."""
    if settings.activation_bits == 1:
        return binary_activation()
    return qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFloat.let(
            bit_width=settings.activation_bits, **_restriction(settings)
        ),
        return_quant_tensor=True,
    )


def input_quantizer(bits: int, signed: bool, limit: float) -> nn.Module:
    """Quantizes the network's input with a constant scale.

    Args:
        bits: width of a code.
        signed: codes in (-2^(bits-1), 2^(bits-1)), else in [0, 2^bits - 1].
        limit: real value of the greatest code.
    """
    if bits == 1 and signed:
        return binary_activation(limit)
    kind = Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat
    return qnn.QuantIdentity(
        act_quant=kind.let(
            bit_width=bits,
            narrow_range=signed,
            scaling_impl_type=ScalingImplType.CONST,
            scaling_init=limit,
        ),
        return_quant_tensor=True,
    )
