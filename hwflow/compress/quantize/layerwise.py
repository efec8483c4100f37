"""Quantization of networks that can't be traced, layer by layer, for export only."""

from __future__ import annotations

import copy

from torch import nn

from hwflow.compress.quantize.layers import quant_layer, quant_sequence_layer
from hwflow.compress.quantize.policies import Policies
from hwflow.compress.quantize.tracing import COMPUTE, SEQUENCE
from hwflow.compress.reparametrized import plain_weights
from hwflow.errors import RequestError
from hwflow.recipe import Quantize


def quantize_layers(model: nn.Module, settings: Quantize) -> nn.Module:
    """A copy of a network whose linear, convolutional, attention and recurrent layers quantize
    their weights and their inputs; what is between them stays real.

    Raises:
        RequestError: there is no such layer, one has an option that Brevitas's layer does not, or
            a policy holds for nothing.
    """
    quantized = copy.deepcopy(plain_weights(model))
    policies = Policies(settings)
    wanted = _outermost(quantized)
    if not wanted:
        raise RequestError(
            "the network has no layer to quantize",
            hint="Brevitas has linear, convolutional, attention, RNN and LSTM layers",
        )
    for name, layer in wanted.items():
        options = policies.of_weights(name)
        policies.of_activation(name)
        if isinstance(layer, SEQUENCE):
            replacement = quant_sequence_layer(name, layer, options)
        else:
            replacement = quant_layer(layer, options, last=False, alone=True)
        parent, _, own = name.rpartition(".")
        setattr(quantized.get_submodule(parent), own, replacement)
    policies.check()
    return quantized


def _outermost(model: nn.Module) -> dict[str, nn.Module]:
    """Layers by name that are in no other one: an attention layer has a linear one of its own."""
    layers: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in layers)
        if not inside and isinstance(module, (*COMPUTE, *SEQUENCE)):
            layers[name] = module
    return layers
