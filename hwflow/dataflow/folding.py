"""Folding: how much of each layer is computed at a time, and so how many cycles a frame takes.

The slowest layer is the bound of the whole pipeline; each layer knows how it is folded.
"""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.windows.reading import reader_of


def layer_cycles(model: ModelWrapper) -> dict[str, int]:
    """Cycles that each layer needs for a frame, from its folding."""
    return {node.name: hardware_layer(node).cycles() for node in model.graph.node}


def fold_for_cycles(model: ModelWrapper, cycles: int) -> None:
    """Give every layer the least parallelism with which a frame takes at most `cycles`.

    Padding and windows are folded with the layer that reads them.

    Raises:
        HwflowError: not even full parallelism is fast enough.
    """
    for node in model.graph.node:
        if reader_of(model, node) is None:
            hardware_layer(node).fold(model, cycles)
