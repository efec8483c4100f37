"""Stage `round_weights`: weights of linear layers become multiples of a power of two."""

import copy
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from hwflow.compress.stage import StageOutcome, measure
from hwflow.recipe import StageSettings


class RoundWeights(StageSettings):
    """Round the weights of linear layers."""

    kind: Literal["round_weights"]
    fraction_bits: int = Field(4, ge=0, le=16, description="Bits behind the binary point.")

    keeps_layers = True


class RoundWeightsStage:
    schema = RoundWeights

    def check(self, model, settings, shape=None):
        pass

    def expected(self, before, settings, data, target):
        return before

    def run(self, model, settings, context):
        rounded, scale = copy.deepcopy(model).eval(), 2**settings.fraction_bits
        with torch.no_grad():
            for layer in rounded.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.copy_(torch.round(layer.weight * scale) / scale)
        return StageOutcome(rounded, measure(rounded, context))

    def rebuild(self, model, settings, structure):
        return model


SCHEMA = RoundWeights
STAGE = RoundWeightsStage()
