"""Stage `quantize`: quantization-aware training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hwflow.compress.distillation import objective_for
from hwflow.compress.quantize.inputs import input_structure
from hwflow.compress.quantize.swap import quantize_network
from hwflow.compress.stage import StageContext, StageOutcome, measure
from hwflow.compress.training import train
from hwflow.recipe import Quantize


class QuantizeStage:
    """Swaps in quantized layers and trains on."""

    def check(self, model: nn.Module, settings: Quantize) -> None:
        """Raise if a layer is one that hardware does not take."""
        quantize_network(model, settings, {"bits": 8, "signed": True, "limit": 1.0})

    def run(self, model: nn.Module, settings: Quantize, context: StageContext) -> StageOutcome:
        """Quantize, train, and measure on validation and test."""
        structure = input_structure(model, settings, context.data)
        torch.manual_seed(context.seed)
        quantized = self.rebuild(model, settings, structure)
        objective = objective_for(settings.distillation, quantized, context)
        train(quantized, settings, context, objective=objective)
        return StageOutcome(quantized.eval(), measure(quantized, context), structure)

    def rebuild(self, model: nn.Module, settings: Quantize, structure: dict[str, Any]) -> nn.Module:
        """The quantized network, its linear layers with the values of `model`."""
        return quantize_network(model, settings, structure)
