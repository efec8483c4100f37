"""How the network's input is quantized."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from hwflow.compress.quantize.graph import first_layer_input, keeps_values, standard_graph
from hwflow.data import Dataset
from hwflow.recipe import Quantize

BATCH = 1000


def input_structure(model: nn.Module, settings: Quantize, data: Dataset) -> dict[str, Any]:
    """How the network's input is quantized: bits, sign and the value of the greatest code.

    Integer data that the network takes as they are, and that `input_bits` hold, keep their codes:
    nothing is lost. Other inputs get `input_bits` over the range that training data have at the
    first layer with weights.

    Returns:
        JSON: `bits`, `signed` and `limit`, unless the first layer quantizes its input itself; and
        the `shape` of one sample.
    """
    shape = {"shape": list(data.shape)}
    traced = standard_graph(model, data.shape)
    encoding = data.encoding
    if encoding is not None and encoding.minimum == 0 and encoding.offset == 0:
        bits = max(1, encoding.maximum.bit_length())
        if bits <= settings.input_bits and keeps_values(traced):
            limit = (2**bits - 1) * encoding.scale
            return {"bits": bits, "signed": False, "limit": limit, **shape}
    head = first_layer_input(traced)
    if head is None:
        return shape
    low, high = _range(head, data)
    return {
        "bits": settings.input_bits,
        "signed": low < 0 or settings.input_bits == 1,
        "limit": max(abs(low), abs(high)) or 1.0,
        **shape,
    }


def _range(head: fx.GraphModule, data: Dataset) -> tuple[float, float]:
    """Least and greatest value that training data have behind a part of the network."""
    head.eval()
    samples = torch.from_numpy(data.floats(data.train))
    with torch.inference_mode():
        seen = [head(samples[i : i + BATCH]) for i in range(0, len(samples), BATCH)]
    return min(float(s.min()) for s in seen), max(float(s.max()) for s in seen)
