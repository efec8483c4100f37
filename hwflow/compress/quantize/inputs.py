"""How a network's input is quantized."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from hwflow.compress.quantize.swap import trace
from hwflow.data import Dataset
from hwflow.networks import Rescale, TensorNorm
from hwflow.recipe import Quantize


def input_structure(model: nn.Module, settings: Quantize, data: Dataset) -> dict[str, Any]:
    """How the network's input is quantized: bits, sign and the value of the greatest code.

    Integer data that the network takes as they are, and that `input_bits` hold, keep their codes:
    nothing is lost. Other inputs get `input_bits` over the range that training data have at the
    first linear layer.
    """
    graph = trace(model)
    encoding = data.encoding
    scaled = any(
        isinstance(m, Rescale | TensorNorm | nn.BatchNorm1d) for m in _before_linear(graph)
    )
    if encoding is not None and not scaled and encoding.minimum == 0 and encoding.offset == 0:
        bits = max(1, encoding.maximum.bit_length())
        if bits <= settings.input_bits:
            limit = (2**bits - 1) * encoding.scale
            return {"bits": bits, "signed": False, "limit": limit}
    low, high = _input_range(model, graph, data)
    limit = max(abs(low), abs(high)) or 1.0
    return {
        "bits": settings.input_bits,
        "signed": low < 0 or settings.input_bits == 1,
        "limit": limit,
    }


def _before_linear(graph: fx.GraphModule) -> list[nn.Module]:
    modules = []
    for node in graph.graph.nodes:
        if node.op == "call_module":
            module = graph.get_submodule(str(node.target))
            if isinstance(module, nn.Linear):
                break
            modules.append(module)
    return modules


def _input_range(model: nn.Module, graph: fx.GraphModule, data: Dataset) -> tuple[float, float]:
    """Least and greatest value that training data have at the first linear layer."""
    seen: list[torch.Tensor] = []
    for module in graph.modules():
        if isinstance(module, nn.Linear):
            hook = module.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
            break
    graph.eval()
    with torch.inference_mode():
        graph(torch.from_numpy(data.floats(data.train)))
    hook.remove()
    return float(seen[0].min()), float(seen[0].max())
