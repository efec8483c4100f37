"""A network quantized without training, to see what it would be."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from hwflow.compress.quantize.calibration import calibrate
from hwflow.compress.quantize.graph import SUPPORTED
from hwflow.compress.quantize.inputs import input_structure
from hwflow.compress.quantize.stage import QuantizeStage, form_of
from hwflow.data import Dataset
from hwflow.errors import RequestError
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

    Raises:
        RequestError: it can't be quantized, or not be run.
    """
    few = replace(data, train=data.train.part(0, SAMPLES))
    form = form_of(model, settings)
    structure: dict[str, Any] = {"form": form, "shape": list(data.shape)}
    if form == "graph":
        structure |= input_structure(model, settings, few)
    quantized = QuantizeStage().rebuild(copy.deepcopy(model), settings, structure)
    samples = torch.from_numpy(few.floats(few.train))
    try:
        calibrate(quantized, [samples])
    except Exception as error:  # Whatever Brevitas and the network's own code raise.
        raise RequestError(
            f"the quantized network can't be run: {type(error).__name__}: {error}",
            hint=f"hwflow quantizes {SUPPORTED}; write others with these",
        ) from error
    return quantized.eval()
