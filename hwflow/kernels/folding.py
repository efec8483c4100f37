"""What layers share that choose how much they compute at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors
from hwflow.errors import HwflowError
from hwflow.kernels.layer_names import both_names


def fold_along(model: ModelWrapper, layer: Any, cycles: int, *, widen: bool = True) -> None:
    """Fold a layer that moves channels: as many at a time as the bound wants, or as come.

    Args:
        model: its graph.
        layer: folds by one number.
        cycles: a frame may take at most.
        widen: whether as many channels as come at a time are taken where fewer would do.

    Raises:
        HwflowError: not even full parallelism is fast enough.
    """
    ((key, size),) = layer.sizes().items()
    attribute = key.upper()
    parallelism = least(layer, attribute, divisors(size), cycles)
    if widen:
        streams = [stream_into(model, name) for name in layer.onnx_node.input]
        parallelism = max(parallelism, *(n for n in streams if n and size % n == 0), 1)
    layer.set_nodeattr(attribute, parallelism)


def least(layer: Any, attribute: str, choices: Iterable[int], cycles: int) -> int:
    """Set an attribute to the first choice that meets the bound.

    Raises:
        HwflowError: none does.
    """
    for choice in choices:
        layer.set_nodeattr(attribute, choice)
        if layer.get_exp_cycles() <= cycles:
            return choice
    raise too_slow(layer, cycles)


def too_slow(layer: Any, cycles: int) -> HwflowError:
    """That a layer can't be as fast as is asked for."""
    return HwflowError(
        f"{both_names(layer.onnx_node)} can't reach {cycles} cycles a frame",
        hint="lower hardware.target_fps",
    )


def stream_into(model: ModelWrapper, tensor: str) -> int:
    """Numbers that come at a time from the layer that makes a tensor; 0: it comes from outside."""
    producer = model.find_producer(tensor)
    if producer is None:
        return 0
    return int(getCustomOp(producer).get_folded_output_shape()[-1])


def matches(stream: int, numbers: int) -> bool:
    """Whether a stream carries a whole multiple or fraction of some numbers at a time, or is none:
    then the width converter between them is small."""
    return not stream or stream % numbers == 0 or numbers % stream == 0
