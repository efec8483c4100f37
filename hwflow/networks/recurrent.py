"""Recurrent layers of Brevitas."""

from __future__ import annotations

from torch import nn


def without_copies(model: nn.Module) -> nn.Module:
    """Have recurrent layers of Brevitas compute with their own cells.

    Else each makes a second, faster cell when it first runs, whose values no checkpoint holds, so
    that a network that has run takes none.

    Args:
        model: changed in place, and returned.
    """
    from brevitas.nn.mixin.base import QuantRecurrentLayerMixin

    for layer in model.modules():
        if isinstance(layer, QuantRecurrentLayerMixin):
            layer.fast_mode = False
            layer._fast_cell = None
    return model
