"""Folding: how much of each layer is computed at a time, and so how many cycles a frame takes.

A layer of MH neurons with MW inputs computes PE neurons and SIMD inputs of each at a time and
needs (MH / PE)(MW / SIMD) cycles for each pixel of its output; the slowest layer is the bound of
the whole pipeline (Blott et al. 2018, section 4.2). Windows move SIMD channels a cycle, or, with
`parallel_window`, all of a window; those of a depthwise layer or a pool as many as that has PE.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import Folding, divisors
from hwflow.dataflow.cycles import node_cycles
from hwflow.dataflow.layer_names import both_names
from hwflow.dataflow.specialise import base_op
from hwflow.errors import HwflowError

WINDOWS = "ConvolutionInputGenerator"
# Layers whose windows come channel by channel, with the layer's own PE.
DEPTHWISE = frozenset({"VVAU", "Pool"})


def layer_cycles(model: ModelWrapper) -> dict[str, int]:
    """Cycles that each layer needs for a frame, from its folding."""
    return {node.name: node_cycles(getCustomOp(node)) for node in model.graph.node}


def fold_for_cycles(model: ModelWrapper, cycles: int) -> None:
    """Give every layer the least parallelism with which a frame takes at most `cycles`.

    Among the foldings of a linear layer that meet the bound, the one with the fewest multipliers
    is taken; among those, one whose input stream is a whole multiple or fraction of the stream
    that feeds it, for then the width converter between them is small; then the one that reads
    more inputs and makes fewer outputs at a time, for the thresholds are copied for each output.
    Windows, and their padding, move as many channels at a time as the layer behind them reads
    where that is fast enough, and more where it is not.

    Raises:
        HwflowError: not even full parallelism is fast enough.
    """
    for node in model.graph.node:
        op = base_op(node)
        if reader_of(model, node) is not None:
            continue  # With what reads it.
        if op == "MVAU":
            _fold_product(model, node, cycles)
        elif op in DEPTHWISE:
            _fold_depthwise(model, node, cycles)
        else:
            _fold_along(model, node, cycles)


def _fold_along(model: ModelWrapper, node: onnx.NodeProto, cycles: int) -> None:
    """Fold a layer that moves channels: as many as the bound wants, or as come at a time."""
    layer = getCustomOp(node)
    ((key, size),) = sizes_of(layer, base_op(node)).items()
    attribute = key.upper()
    found = _least(layer, attribute, divisors(size), cycles)
    wide = [n for n in (_stream(model, name) for name in node.input) if n and size % n == 0]
    if base_op(node) != "LabelSelect":
        found = max(found, *wide, 1)
    layer.set_nodeattr(attribute, found)


def _least(layer: Any, attribute: str, choices: Iterable[int], cycles: int) -> int:
    """Set an attribute to the first choice that meets the bound."""
    for choice in choices:
        layer.set_nodeattr(attribute, choice)
        if layer.get_exp_cycles() <= cycles:
            return choice
    raise _too_slow(layer.onnx_node, cycles)


def _too_slow(node: onnx.NodeProto, cycles: int) -> HwflowError:
    return HwflowError(
        f"{both_names(node)} can't reach {cycles} cycles a frame", hint="lower hardware.target_fps"
    )


def _stream(model: ModelWrapper, tensor: str) -> int:
    """Numbers that come at a time from the layer that makes a tensor; 0: it comes from outside."""
    producer = model.find_producer(tensor)
    if producer is None:
        return 0
    return int(getCustomOp(producer).get_folded_output_shape()[-1])


# --------------------------------------------------------------------------- layers with windows


def reader_of(model: ModelWrapper, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """The product or pool that padding or windows are for; None: no such node, or for no such."""
    readers = model.find_consumers(node.output[0])
    if base_op(node) not in {WINDOWS, "FMPadding"} or len(readers) != 1:
        return None
    if base_op(readers[0]) == WINDOWS:
        return reader_of(model, readers[0])
    return readers[0] if base_op(readers[0]) in DEPTHWISE | {"MVAU"} else None


def _before(model: ModelWrapper, node: onnx.NodeProto, op: str) -> Any:
    """The layer right before a node, if it is of a kind."""
    producer = model.find_producer(node.input[0])
    if producer is None or base_op(producer) != op:
        return None
    return getCustomOp(producer)


def _fold_product(model: ModelWrapper, node: onnx.NodeProto, cycles: int) -> None:
    layer = getCustomOp(node)
    windows = _before(model, node, WINDOWS)
    if windows is None:
        incoming = _stream(model, node.input[0])
        padding = _before(model, node, "FMPadding")
        choice = _choose(layer, cycles, lambda simd: _matches(incoming, simd))
        _set(layer, PE=choice.pe, SIMD=choice.simd)
        _fold_padding(padding, choice.simd, cycles)
        return
    channels = windows.get_nodeattr("IFMChannels")
    if _is_fast(windows, channels, cycles, parallel=False):
        choice = _choose(layer, cycles, lambda simd: channels % simd == 0)
        simd = _fast_simd(windows, choice.simd, cycles)
    else:
        if not _is_fast(windows, channels, cycles, parallel=True):
            raise _too_slow(windows.onnx_node, cycles)
        choice, simd = _choose(layer, cycles, lambda simd: True), channels
    _set(layer, PE=choice.pe, SIMD=choice.simd)
    _fold_padding(_before(model, windows.onnx_node, "FMPadding"), simd, cycles)


def _matches(stream: int, simd: int) -> bool:
    return not stream or stream % simd == 0 or simd % stream == 0


def _choose(layer: Any, cycles: int, suits: Callable[[int], bool]) -> Folding:
    mw, mh = layer.get_nodeattr("MW"), layer.get_nodeattr("MH")
    vectors = math.prod(layer.get_nodeattr("numInputVectors"))
    choices = [
        ((pe * simd, not suits(simd), pe), Folding(pe, simd))
        for pe in divisors(mh)
        for simd in divisors(mw)
        if (mh // pe) * (mw // simd) * vectors <= cycles
    ]
    if not choices:
        raise _too_slow(layer.onnx_node, cycles)
    return min(choices, key=lambda choice: choice[0])[1]


def _is_fast(windows: Any, simd: int, cycles: int, *, parallel: bool) -> bool:
    _set(windows, SIMD=simd, parallel_window=int(parallel))
    return node_cycles(windows) <= cycles


def _fast_simd(windows: Any, read: int, cycles: int) -> int:
    """Channels that windows, not parallel, move at a time: as many as are read, where that can be;
    else, for there is a converter anyway, the fewest that are fast enough."""
    channels = windows.get_nodeattr("IFMChannels")
    choices = [n for n in divisors(channels) if n % read == 0] if channels % read == 0 else []
    choices += [n for n in divisors(channels) if _matches(n, read)]
    for simd in choices:
        if _is_fast(windows, simd, cycles, parallel=False):
            return simd
    _is_fast(windows, channels, cycles, parallel=False)
    return int(channels)


def _fold_padding(padding: Any, simd: int, cycles: int) -> None:
    """Let padding move as many channels as what it feeds, or more where that is too slow."""
    if padding is None:
        return
    channels = padding.get_nodeattr("NumChannels")
    start = math.gcd(simd, channels)
    _least(padding, "SIMD", (n for n in divisors(channels) if n % start == 0), cycles)


def _fold_depthwise(model: ModelWrapper, node: onnx.NodeProto, cycles: int) -> None:
    """Fold a depthwise layer or a pool and its windows, which move as many channels."""
    layer, windows = getCustomOp(node), _before(model, node, WINDOWS)
    _fold_kernel(layer, 1)
    if not _fold_channels(layer, windows, cycles, parallel=False):
        if base_op(node) != "VVAU" or windows is None:
            raise _too_slow(node, cycles)
        # All taps at a time: windows in part would come in another order.
        _fold_kernel(layer, math.prod(layer.get_nodeattr("Kernel")))
        if not _fold_channels(layer, windows, cycles, parallel=True):
            raise _too_slow(node, cycles)
    source = node if windows is None else windows.onnx_node
    _fold_padding(_before(model, source, "FMPadding"), layer.get_nodeattr("PE"), cycles)


def _fold_kernel(layer: Any, taps: int) -> None:
    """Taps that a depthwise layer multiplies at a time; a pool takes one."""
    if base_op(layer.onnx_node) == "VVAU":
        layer.set_nodeattr("SIMD", taps)


def _fold_channels(layer: Any, windows: Any, cycles: int, *, parallel: bool) -> bool:
    """Give a layer and its windows the fewest channels that meet the bound, if any do."""
    for pe in divisors(layer.get_nodeattr("Channels")):
        layer.set_nodeattr("PE", pe)
        if layer.get_exp_cycles() > cycles:
            continue
        if windows is None or _is_fast(windows, pe, cycles, parallel=parallel):
            return True
    return False


def _set(layer: Any, **attributes: int) -> None:
    for name, value in attributes.items():
        if name in layer.get_nodeattr_types():
            layer.set_nodeattr(name, value)


def sizes_of(layer: Any, op: str) -> dict[str, int]:
    """What a layer folds by: the numbers that `pe` and `simd` must divide."""

    def size(name: str) -> int:
        return int(layer.get_nodeattr(name))

    if op == "MVAU":
        return {"pe": size("MH"), "simd": size("MW")}
    if op == "VVAU":
        return {"pe": size("Channels"), "simd": math.prod(layer.get_nodeattr("Kernel"))}
    if op == "Pool":
        return {"pe": size("Channels")}
    if op == WINDOWS:
        return {"simd": size("IFMChannels")}
    if op in {"FMPadding", "UpsampleNearestNeighbour"}:
        return {"simd": size("NumChannels")}
    if op == "StreamingConcat":
        return {"simd": math.gcd(*layer.get_nodeattr("ChannelsPerStream"))}
    if op.startswith("Elementwise"):
        return {"pe": int(layer.get_normal_output_shape()[-1])}
    return {"pe": size("Labels" if op == "LabelSelect" else "NumChannels")}
