"""Bits of weights that are trained along with them."""

from __future__ import annotations

from typing import Any

import torch
from brevitas.core.bit_width import BitWidthParameter
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from lightning.pytorch.callbacks import Callback
from torch import nn

from hwflow.compress.training import Batch, Objective
from hwflow.recipe import Quantize


class FewerBits(nn.Module):
    """An objective plus a penalty on the mean number of bits of a weight.

    The number of bits is a parameter of each layer, rounded with gradients passed straight
    through: the loss pulls it down, and up again where accuracy needs it.

    Args:
        objective: loss of a network on a batch.
        penalty: weight of the mean.
    """

    def __init__(self, objective: Objective, penalty: float) -> None:
        super().__init__()
        self.objective, self.penalty = objective, penalty

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Loss of a network on a batch."""
        return self.objective(model, batch) + self.penalty * mean_bits(model)


def mean_bits(model: nn.Module) -> torch.Tensor:
    """Mean number of bits of the weights of quantized layers."""
    layers: list[Any] = [
        module for module in model.modules() if isinstance(module, QuantWeightBiasInputOutputLayer)
    ]
    bits = sum(
        layer.weight_quant.tensor_quant.msb_clamp_bit_width_impl() * layer.weight.numel()
        for layer in layers
    )
    return torch.as_tensor(bits / sum(layer.weight.numel() for layer in layers))


def parameter_groups(model: nn.Module, settings: Quantize) -> list[dict[str, Any]] | None:
    """Groups of parameters for an optimizer: bits have a learning rate of their own, and no weight
    decay; None where none are learned."""
    if settings.learned_bits is None:
        return None
    bits = [m.bit_width_offset for m in model.modules() if isinstance(m, BitWidthParameter)]
    others = [p for p in model.parameters() if not any(p is b for b in bits)]
    rate = settings.learned_bits.learning_rate
    return [{"params": others}, {"params": bits, "lr": rate, "weight_decay": 0.0}]


class BitsInRange(Callback):
    """Keeps learned bits between their minimum and what they began with."""

    def __init__(self) -> None:
        self.greatest: dict[nn.Module, float] = {}

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Note what the bits begin with."""
        for module in pl_module.modules():
            if isinstance(module, BitWidthParameter):
                self.greatest[module] = float(module.bit_width_offset)

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Put bits that have left their range back."""
        for module, greatest in self.greatest.items():
            offset = module.bit_width_offset
            assert isinstance(offset, torch.Tensor)
            offset.data.clamp_(0.0, greatest)
