"""How near a quantized network's activations come to where rounding changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from brevitas.proxy.runtime_quant import ActQuantProxyFromInjector
from brevitas.quant_tensor import IntQuantTensor, QuantTensor
from numpy.typing import NDArray
from torch import nn


def software_margins(model: nn.Module, inputs: torch.Tensor) -> NDArray[np.float64]:
    """The least distance, in steps, of each sample's activations from a rounding step.

    Where it is tiny, another float32 run of the network may round to the other side.

    Args:
        model: Brevitas network, in eval mode.
        inputs: samples (N, *shape).

    Returns:
        (N,); infinite where a sample can't be told from others, such as behind a layer that puts
        sequences first.
    """
    margin = np.full(len(inputs), np.inf)

    def hook(proxy: Any, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, IntQuantTensor) and len(output.value) == len(inputs):
            np.minimum(margin, _margin(proxy, args[0], output), out=margin)

    handles = _hooked(model, hook)
    with torch.inference_mode():
        model(inputs)
    for handle in handles:
        handle.remove()
    return margin


def _hooked(model: nn.Module, hook: Callable[..., None]) -> list[Any]:
    return [
        module.register_forward_hook(hook)
        for module in model.modules()
        if isinstance(module, ActQuantProxyFromInjector) and module.is_quant_enabled
    ]


def _margin(proxy: Any, inputs: Any, output: IntQuantTensor) -> NDArray[np.float64]:
    """(N,) least distance of a quantizer's inputs from where its output changes."""
    value = inputs.value if isinstance(inputs, QuantTensor) else inputs
    value = proxy.fused_activation_quant_proxy.activation_impl(value)
    position = (value / output.scale).double().flatten(1)
    if float(output.bit_width) == 1:
        distances = position.abs()
    else:
        steps = 2.0 ** float(output.bit_width)
        low = (-steps / 2 + proxy.is_narrow_range if output.signed else 0.0) + 0.5
        high = (steps / 2 if output.signed else steps) - 1.5
        distances = (position - (torch.floor(position) + 0.5).clamp(low, high)).abs()
    margin: NDArray[np.float64] = distances.amin(1).numpy()
    return margin
