"""The Brevitas quantizers that hardware can take (symmetric, zero point 0, scales per tensor for
activations), and minifloats for export."""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
from brevitas.core.quant import ClampedBinaryQuant
from brevitas.core.restrict_val import PowerOfTwoRestrictValue, RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.core.stats import StatsOp
from brevitas.inject.enum import BitWidthImplType, QuantType, ScalingPerOutputType
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerTensorFloat,
    Uint8ActPerTensorFloat,
)
from brevitas.quant.float_quant_ocp import (
    FpOCPActPerTensorFloat,
    FpOCPWeightPerTensorFloat,
)
from brevitas.quant.scaled_int import (
    Int8AccumulatorAwareWeightQuant,
    Int8AccumulatorAwareZeroCenterWeightQuant,
)
from torch import nn

from hwflow.recipe import Quantize

# At one and two bits the greatest weight says nothing about the others: a scale from it rounds
# most of them to zero. Their mean does better (Rastegari et al. 2016; Li et al. 2016).
MEAN_SCALED_BITS = 2
# Clip of a ReLU6, which a quantizer's range begins with.
RELU6 = 6.0


def weight_bits(settings: Quantize) -> int:
    """Bits of the weights; ternary ones are symmetric two-bit numbers."""
    return 2 if settings.weight_bits == "ternary" else settings.weight_bits


def is_integer(settings: Quantize) -> bool:
    """Whether numbers are integers, not minifloats."""
    return settings.format == "integer"


def _restriction(settings: Quantize) -> dict[str, Any]:
    if settings.scale == "float":
        return {}
    return {"restrict_scaling_type": RestrictValueType.POWER_OF_TWO}


def weight_quantizer(settings: Quantize, *, last: bool) -> Any:
    """The quantizer of a layer's weights.

    Args:
        settings: of the layer.
        last: whether it makes the logits, which compare as integers only in one scale.
    """
    per_channel = settings.weight_scaling == "per_channel" and not last
    scaling = ScalingPerOutputType.CHANNEL if per_channel else ScalingPerOutputType.TENSOR
    options: dict[str, Any] = {"scaling_per_output_type": scaling}
    if settings.rounding != "nearest":
        # Weights that are moved must not move their scale.
        options["scaling_impl_type"] = ScalingImplType.PARAMETER_FROM_STATS
    if not is_integer(settings):
        return FpOCPWeightPerTensorFloat.let(**options, **_restriction(settings), **_fp(settings))
    bits = weight_bits(settings)
    options["bit_width"] = bits
    if settings.accumulator_bits is not None:
        return _accumulator_aware(settings, options)
    options |= _restriction(settings)
    if bits <= MEAN_SCALED_BITS:
        options["scaling_stats_op"] = StatsOp.AVE
    if bits == 1:
        options["quant_type"] = QuantType.BINARY
        options.setdefault("scaling_impl_type", ScalingImplType.STATS)
    if settings.learned_bits is not None:
        options |= {
            "bit_width_impl_type": BitWidthImplType.PARAMETER,
            "min_bit_width": settings.learned_bits.minimum,
        }
    return Int8WeightPerTensorFloat.let(**options)


def _accumulator_aware(settings: Quantize, options: dict[str, Any]) -> Any:
    """A2Q (Colbert et al. 2023, section 4) or A2Q+ (Colbert et al. 2024, section 3)."""
    options["accumulator_bit_width"] = settings.accumulator_bits
    if settings.scale == "power_of_two":
        options["restrict_scaling_impl"] = PowerOfTwoRestrictValue
    if settings.accumulator_method == "a2q_plus":
        return Int8AccumulatorAwareZeroCenterWeightQuant.let(**options)
    return Int8AccumulatorAwareWeightQuant.let(**options)


def _fp(settings: Quantize) -> dict[str, int]:
    """Bits of a minifloat such as e4m3."""
    exponent, mantissa = int(settings.format[1]), int(settings.format[3])
    return {
        "bit_width": 1 + exponent + mantissa,
        "exponent_bit_width": exponent,
        "mantissa_bit_width": mantissa,
    }


def activation_quantizer(settings: Quantize, bits: int, *, signed: bool) -> Any:
    """A quantizer of activations whose scale is learned from what they are."""
    options = _restriction(settings) | _statistics(settings)
    if not is_integer(settings):
        return FpOCPActPerTensorFloat.let(**options, **_fp(settings))
    if bits == 1:
        return _binary(1.0)
    kind = Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat
    return kind.let(bit_width=bits, **options)


def _statistics(settings: Quantize) -> dict[str, Any]:
    """What of activations a scale begins with; Brevitas's own percentile is ours too."""
    post_training = settings.post_training
    if post_training is None:
        return {}
    if post_training.statistics == "max":
        return {"scaling_stats_op": StatsOp.MAX}
    return {"high_percentile_q": post_training.percentile}


def _binary(limit: float) -> Any:
    return Int8ActPerTensorFloat.let(
        tensor_quant=ClampedBinaryQuant,
        quant_type=QuantType.BINARY,
        bit_width=1,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=limit,
    )


def binary_activation(limit: float = 1.0) -> nn.Module:
    """-limit or +limit, by sign; gradients pass within that range."""
    sign: nn.Module = qnn.QuantIdentity(act_quant=_binary(limit), return_quant_tensor=True)
    return sign


def relu_activation(settings: Quantize, *, clip: float | None = None) -> nn.Module:
    """What takes a ReLU's place: unsigned codes, or a sign where activations have one bit.

    Args:
        settings: of the activation.
        clip: of a ReLU6: where its range begins to be learned from.
    """
    bits = settings.activation_bits
    if bits == 1 and is_integer(settings):
        return binary_activation()
    quantizer = activation_quantizer(settings, bits, signed=False)
    if clip is not None and is_integer(settings):
        quantizer = quantizer.let(scaling_impl_type=ScalingImplType.PARAMETER, scaling_init=clip)
    relu: nn.Module = qnn.QuantReLU(act_quant=quantizer, return_quant_tensor=is_integer(settings))
    return relu


def signed_activation(settings: Quantize, bits: int | None = None) -> nn.Module:
    """Signed codes, where a layer is followed by no ReLU.

    Args:
        settings: of the activation.
        bits: default: those of activations that can be negative.
    """
    quantizer = activation_quantizer(settings, bits or settings.negative_bits, signed=True)
    identity: nn.Module = qnn.QuantIdentity(
        act_quant=quantizer, return_quant_tensor=is_integer(settings)
    )
    return identity


def input_quantizer(settings: Quantize, bits: int, signed: bool, limit: float) -> nn.Module:
    """Quantizes the network's input with a constant scale.

    Args:
        settings: of the stage.
        bits: width of a code.
        signed: codes in (-2^(bits-1), 2^(bits-1)), else in [0, 2^bits - 1].
        limit: real value of the greatest code.
    """
    if not is_integer(settings):
        return signed_activation(settings)
    if bits == 1 and signed:
        return binary_activation(limit)
    kind = Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat
    identity: nn.Module = qnn.QuantIdentity(
        act_quant=kind.let(
            bit_width=bits,
            narrow_range=signed,
            scaling_impl_type=ScalingImplType.CONST,
            scaling_init=limit,
        ),
        return_quant_tensor=True,
    )
    return identity
