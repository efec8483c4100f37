"""What Brevitas networks compute, as plain tensors, quantized or not."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from brevitas.graph.calibrate import quantization_status_manager
from brevitas.quant_tensor import QuantTensor
from torch import nn


def plain(value: Any) -> torch.Tensor:
    """The real values of a tensor that may carry its scale along."""
    real: torch.Tensor = value.value if isinstance(value, QuantTensor) else value
    return real


def unquantized(model: nn.Module) -> AbstractContextManager[Any]:
    """While it is entered, a network computes in float, in eval mode."""
    off: AbstractContextManager[Any] = quantization_status_manager(
        model,
        disable_act_quant=True,
        disable_weight_quant=True,
        disable_bias_quant=True,
        is_training=False,
    )
    return off
