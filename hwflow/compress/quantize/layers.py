"""Brevitas layers in place of torch.nn ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import brevitas.nn as qnn
from brevitas.quant import Int32Bias
from torch import nn

from hwflow.compress.quantize.quantizers import activation_quantizer, is_integer, weight_quantizer
from hwflow.compress.quantize.tracing import TRANSPOSED
from hwflow.compress.quantize.values import plain
from hwflow.errors import HwflowError, RequestError
from hwflow.networks import without_copies
from hwflow.recipe import Quantize

_CONVOLUTIONS: dict[type[nn.Module], Any] = {
    nn.Conv1d: qnn.QuantConv1d,
    nn.Conv2d: qnn.QuantConv2d,
    nn.Conv3d: qnn.QuantConv3d,
    nn.ConvTranspose1d: qnn.QuantConvTranspose1d,
    nn.ConvTranspose2d: qnn.QuantConvTranspose2d,
    nn.ConvTranspose3d: qnn.QuantConvTranspose3d,
}


def quant_layer(layer: nn.Module, settings: Quantize, *, last: bool, alone: bool = False) -> Any:
    """A quantized layer with the weights of `layer`.

    The last layer is scaled per tensor, so that its logits compare as integers, and if it is
    linear its bias is an integer in the accumulator's scale. Other biases stay real: they end up
    in thresholds.

    Args:
        layer: linear or convolutional.
        settings: of the layer.
        last: whether it makes the logits.
        alone: whether it quantizes its input itself.
    """
    options: dict[str, Any] = {
        "bias": layer.bias is not None,
        "weight_quant": weight_quantizer(settings, last=last),
        "bias_quant": None,
    }
    if alone:
        options["input_quant"] = activation_quantizer(settings, settings.negative_bits, signed=True)
    if isinstance(layer, nn.Linear):
        if last and layer.bias is not None and is_integer(settings):
            options["bias_quant"] = Int32Bias
        quantized = qnn.QuantLinear(layer.in_features, layer.out_features, **options)
    else:
        quantized = _convolution(layer, options)
    copy_values(layer, quantized)
    return quantized


def _convolution(layer: Any, options: dict[str, Any]) -> Any:
    if isinstance(layer, TRANSPOSED):
        options["output_padding"] = layer.output_padding
    (kind,) = (quantized for plain, quantized in _CONVOLUTIONS.items() if isinstance(layer, plain))
    return kind(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        padding_mode=layer.padding_mode,
        **options,
    )


# Brevitas has no types, and a checked class derives from none that is unknown.
if TYPE_CHECKING:
    _BrevitasAttention = nn.Module
else:
    _BrevitasAttention = qnn.QuantMultiheadAttention


class Attention(_BrevitasAttention):
    """Brevitas's attention, which torch.nn's transformer layers take in place of their own."""

    # Asked for by them: without a bias here they compute nothing past the layer.
    in_proj_bias = None

    def forward(
        self, query: Any, key: Any, value: Any, *args: Any, is_causal: bool = False, **kwargs: Any
    ) -> Any:
        """As torch.nn.MultiheadAttention; `is_causal` only says what the mask is."""
        # Views, for Brevitas names the axes of what it is given.
        tensors = (plain(tensor) for tensor in (query, key, value))
        views = (tensor.view_as(tensor) for tensor in tensors)
        return super().forward(*views, *args, **kwargs)


def quant_sequence_layer(name: str, layer: Any, settings: Quantize) -> nn.Module:
    """A quantized attention or recurrent layer with the weights of `layer`; it quantizes its
    inputs and all that it computes.

    Raises:
        RequestError: it has an option that Brevitas's layer does not.
    """
    if settings.accumulator_bits is not None:
        raise _unknown(name, layer, "accumulator_bits")
    if is_integer(settings) and settings.negative_bits == 1:
        raise _unknown(name, layer, "activations of 1 bit")
    if isinstance(layer, nn.MultiheadAttention):
        return _attention(name, layer, settings)
    return _recurrent(name, layer, settings)


def _attention(name: str, layer: nn.MultiheadAttention, settings: Quantize) -> nn.Module:
    if layer.bias_k is not None or layer.add_zero_attn:
        raise _unknown(name, layer, "add_bias_kv and add_zero_attn")
    bits = settings.negative_bits
    signed = activation_quantizer(settings, bits, signed=True)
    unsigned = activation_quantizer(settings, bits, signed=False)
    weights = weight_quantizer(settings, last=False)
    bias = Int32Bias if is_integer(settings) else None
    quantized = Attention(
        layer.embed_dim,
        layer.num_heads,
        dropout=layer.dropout,
        bias=layer.out_proj.bias is not None,
        kdim=layer.kdim,
        vdim=layer.vdim,
        packed_in_proj=False,  # It would take nothing but self-attention.
        batch_first=layer.batch_first,
        in_proj_input_quant=signed,
        in_proj_weight_quant=weights,
        in_proj_bias_quant=bias,
        attn_output_weights_quant=unsigned,
        q_scaled_quant=signed,
        k_transposed_quant=signed,
        v_quant=signed,
        out_proj_input_quant=signed,
        out_proj_weight_quant=weights,
        out_proj_bias_quant=bias,
    )
    copy_values(layer, quantized)
    return quantized


def _recurrent(name: str, layer: Any, settings: Quantize) -> nn.Module:
    if getattr(layer, "proj_size", 0) or (layer.dropout and layer.num_layers > 1):
        raise _unknown(name, layer, "proj_size and dropout between layers")
    if not is_integer(settings):
        raise _unknown(name, layer, "minifloats")
    bits = settings.negative_bits
    signed = activation_quantizer(settings, bits, signed=True)
    options: dict[str, Any] = {
        "num_layers": layer.num_layers,
        "bias": layer.bias,
        "batch_first": layer.batch_first,
        "bidirectional": layer.bidirectional,
        "weight_quant": weight_quantizer(settings, last=False),
        "io_quant": signed,
        "gate_acc_quant": signed,
    }
    if isinstance(layer, nn.LSTM):
        unsigned = activation_quantizer(settings, bits, signed=False)
        quantized = qnn.QuantLSTM(
            layer.input_size,
            layer.hidden_size,
            **options,
            sigmoid_quant=unsigned,
            tanh_quant=signed,
            cell_state_quant=signed,
        )
    else:
        quantized = qnn.QuantRNN(
            layer.input_size, layer.hidden_size, nonlinearity=layer.nonlinearity, **options
        )
    copy_values(layer, quantized)
    return without_copies(quantized)


def copy_values(layer: nn.Module, quantized: nn.Module) -> None:
    """Give a quantized layer the weights of the layer that it stands for; quantizers begin anew.

    Raises:
        HwflowError: one has a value that the other has no place for.
    """
    keys = quantized.load_state_dict(layer.state_dict(), strict=False)
    left = [*keys.unexpected_keys, *(key for key in keys.missing_keys if "quant" not in key)]
    if left:
        raise HwflowError(
            f"{type(layer).__name__} and {type(quantized).__name__} do not both have"
            f" {', '.join(left)}",
            hint="this is a defect of hwflow: tell us which layer it was",
        )


def _unknown(name: str, layer: nn.Module, what: str) -> RequestError:
    return RequestError(
        f"layer {name}: {what} are not options of a quantized {type(layer).__name__}",
        hint="leave them out, or write the layer with Brevitas yourself",
    )
