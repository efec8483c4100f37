"""Recurrent layers of Brevitas as what they compute, step by step, so that they can be exported."""

from __future__ import annotations

from typing import Any

from brevitas.nn.mixin.base import QuantRecurrentLayerMixin
from torch import nn


class Unrolled(nn.Module):
    """A recurrent layer that an exporter sees as its parts: quantizers, products, sums.

    Brevitas exports a QuantLSTM as one node that nothing executes, and a QuantRNN not at all.

    Args:
        layer: QuantRNN's or QuantLSTM's, of one direction; its loop becomes as many copies of the
            cell as the sequence is long.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        layer.fast_mode = False
        self.parts = nn.ModuleList(layer.children())
        self._layer = [layer]  # In a list it is no module of this one, and so not put into
        # the mode in which it would look for a node to export itself as.

    def forward(self, *args: Any) -> Any:
        """What the layer makes of a sequence and its first state."""
        return self._layer[0](*args)


def unroll(model: nn.Module) -> nn.Module:
    """Put `Unrolled` in the place of all recurrent layers."""
    for name, child in list(model.named_children()):
        if isinstance(child, QuantRecurrentLayerMixin):
            setattr(model, name, Unrolled(child))
        else:
            unroll(child)
    return model
