"""Folding by a file: what a user says of each layer, checked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.config.yaml_source import Source, load_yaml, nearest
from hwflow.costs import divisors
from hwflow.dataflow.folding import DEPTHWISE, WINDOWS, reader_of, sizes_of
from hwflow.dataflow.specialise import base_op
from hwflow.errors import RequestError

PARALLEL = "parallel_window"


def fold_from_file(model: ModelWrapper, path: Path) -> None:
    """Fold as a YAML file says: `layer: {pe: N, simd: N}`; layers left out get 1.

    Padding and windows that are left out move as many channels at a time as the layer that they
    are for reads. Windows take `parallel_window: 1` too, for all of a window in a cycle.

    Raises:
        RequestError: the file names no layer of the network, or a number that divides nothing, or
            folds windows so that what reads them can't.
    """
    source = load_yaml(path)
    wanted = source.data
    names = [node.name for node in model.graph.node]
    for name in wanted:
        if name not in names:
            raise RequestError(
                f"{source.place((name,))}: the network has no layer {name!r}",
                hint=nearest(str(name), names),
            )
    for node in model.graph.node:
        _fold(node, _given(source, node))
    for node in reversed(model.graph.node):  # Padding after the windows that it is for.
        reader = reader_of(model, node)
        if reader is not None:
            _follow(model, node, reader, _given(source, node), source)


def _given(source: Source, node: onnx.NodeProto) -> dict[str, int]:
    """What the file says of a layer."""
    given = source.data.get(node.name) or {}
    keys = choices_of(node)
    if not isinstance(given, dict):
        raise RequestError(
            f"{source.place((node.name,))}: is {given!r}, not `pe: N, simd: N`",
            hint=f"it folds by {', '.join(keys)}",
        )
    for key, value in given.items():
        place = source.place((node.name, key))
        if key not in keys:
            raise RequestError(
                f"{place}: {node.name} has no {key!r}", hint=f"it folds by {', '.join(keys)}"
            )
        if not isinstance(value, int) or isinstance(value, bool) or value not in keys[key]:
            raise RequestError(
                f"{place}: {key} of {node.name} is {value!r}, which does not divide"
                f" {keys[key][-1]}",
                hint=f"one of {', '.join(map(str, keys[key]))}",
            )
    return given


def choices_of(node: onnx.NodeProto) -> dict[str, tuple[int, ...]]:
    """What a file can say of a layer: by key, the numbers that it can be, ascending."""
    sizes = sizes_of(getCustomOp(node), base_op(node))
    choices = {key: divisors(size) for key, size in sizes.items()}
    if base_op(node) == "VVAU":
        choices["simd"] = tuple(sorted({1, sizes["simd"]}))  # One tap at a time, or all.
    return {**choices, PARALLEL: (0, 1)} if base_op(node) == WINDOWS else choices


def _fold(node: onnx.NodeProto, given: dict[str, int]) -> None:
    layer = getCustomOp(node)
    for key in sizes_of(layer, base_op(node)):
        layer.set_nodeattr(key.upper(), given.get(key, 1))


def _follow(
    model: ModelWrapper,
    node: onnx.NodeProto,
    reader: onnx.NodeProto,
    given: dict[str, int],
    source: Source,
) -> None:
    """Fold padding or windows as what reads them is folded."""
    layer, compute = getCustomOp(node), getCustomOp(reader)
    if base_op(node) == "FMPadding":
        after = getCustomOp(model.find_consumers(node.output[0])[0])
        reads = _reads(after, base_op(after.onnx_node))
        layer.set_nodeattr("SIMD", given.get("simd", math.gcd(reads, _channels(layer))))
        return
    reads = math.gcd(_reads(compute, base_op(reader)), _channels(layer))
    kernel = base_op(reader) == "VVAU" and compute.get_nodeattr("SIMD") > 1
    simd, parallel = given.get("simd", reads), given.get(PARALLEL, int(kernel))
    if base_op(reader) in DEPTHWISE and (simd != reads or parallel != kernel):
        raise RequestError(
            f"{source.place((node.name,))}: {node.name} moves other channels than {reader.name},"
            f" which has pe {reads}",
            hint="leave the windows out of the file: they follow their layer",
        )
    if parallel and base_op(reader) == "MVAU" and simd != _channels(layer):
        raise RequestError(
            f"{source.place((node.name,))}: windows that are parallel move all channels at a time",
            hint=f"simd: {_channels(layer)}",
        )
    layer.set_nodeattr("SIMD", simd)
    layer.set_nodeattr(PARALLEL, parallel)


def _reads(layer: Any, op: str) -> int:
    """Channels that a layer reads at a time."""
    return int(layer.get_nodeattr("PE" if op in DEPTHWISE else "SIMD"))


def _channels(layer: Any) -> int:
    attributes = layer.get_nodeattr_types()
    return int(layer.get_nodeattr("IFMChannels" if "IFMChannels" in attributes else "NumChannels"))
