"""A network quantized without training, to see what it would be."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from hwflow.compress.quantize.calibration import calibrate
from hwflow.compress.quantize.inputs import input_structure
from hwflow.compress.quantize.stage import QuantizeStage, form_of
from hwflow.data import Dataset
from hwflow.recipe import Quantize

# Samples that scales are set by: enough for them to be finite.
SAMPLES = 2


def quantize_untrained(model: nn.Module, settings: Quantize, data: Dataset) -> nn.Module:
    """The network with quantized layers, and with scales from a few samples.

    Args:
        model: not quantized, or made of Brevitas layers; left as it is.
        settings: of the stage.
        data: its first training samples are looked at.

    Returns:
        The network in eval mode; its accuracy says nothing.
    """
    few = replace(data, train=data.train.part(0, SAMPLES))
    form = form_of(model, settings)
    structure: dict[str, Any] = {"form": form, "shape": list(data.shape)}
    if form == "graph":
        structure |= input_structure(model, settings, few)
    quantized = QuantizeStage().rebuild(copy.deepcopy(model), settings, structure)
    calibrate(quantized, [torch.from_numpy(few.floats(few.train))])
    return quantized.eval()
