"""Folding by a file: what a user says of each layer, checked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.config.yaml_source import Key, Source, load_yaml, nearest
from hwflow.costs import divisors
from hwflow.dataflow.folding import DEPTHWISE, WINDOWS, reader_of, sizes_of
from hwflow.dataflow.layer_names import user_name
from hwflow.dataflow.specialise import base_op
from hwflow.errors import RequestError

PARALLEL = "parallel_window"


def fold_from_file(model: ModelWrapper, path: Path) -> None:
    """Fold as a YAML file says: `layer: {pe: N, simd: N}`; layers left out get 1.

    Layers have their names in the user's network (`layer_names.user_name`), or those of their RTL
    modules. A file all of whose names are names in the network is read so; in others a name that
    means one layer in the network and another in RTL is refused.

    Padding and windows that are left out move as many channels at a time as the layer that they
    are for reads. Windows take `parallel_window: 1` too, for all of a window in a cycle.

    Raises:
        RequestError: the file names no layer of the network, or one twice, or a number that divides
            nothing, or folds windows so that what reads them can't.
    """
    source = load_yaml(path)
    entries = _entries(source, model)
    for node in model.graph.node:
        _fold(node, _given(source, node, entries))
    for node in reversed(model.graph.node):  # Padding after the windows that it is for.
        reader = reader_of(model, node)
        if reader is not None:
            _follow(model, node, reader, _given(source, node, entries), source, entries)


def _entries(source: Source, model: ModelWrapper) -> dict[str, Key]:
    """By RTL name, which entry of a file is of a layer."""
    users: dict[str, list[str]] = {}
    for node in model.graph.node:
        users.setdefault(user_name(node), []).append(node.name)
    own = {node.name for node in model.graph.node}
    in_users_names = all(str(key) in users for key in source.data)
    entries: dict[str, Key] = {}
    for key in source.data:
        name, place = str(key), source.place((key,))
        if isinstance(key, float):
            raise RequestError(
                f"{place}: {key} is a number, not the name of a layer", hint="write it in quotes"
            )
        meant = dict.fromkeys(users.get(name, ()))
        if name in own and not in_users_names:
            meant[name] = None
        if not meant:
            raise RequestError(
                f"{place}: the network has no layer {name!r}", hint=nearest(name, list(users))
            )
        if len(meant) > 1:
            raise RequestError(
                f"{place}: {name} can mean the RTL modules {' and '.join(meant)}",
                hint="name all layers as in the network: hwflow check lists both names",
            )
        (found,) = meant
        if found in entries:
            raise RequestError(
                f"{place}: {name} and {entries[found]} are the same layer", hint="keep one of them"
            )
        entries[found] = key
    return entries


def _given(source: Source, node: onnx.NodeProto, entries: dict[str, Key]) -> dict[str, int]:
    """What the file says of a layer."""
    if node.name not in entries:
        return {}
    data: dict[Any, Any] = source.data
    key_of = entries[node.name]
    given, keys = data[key_of] or {}, choices_of(node)
    if not isinstance(given, dict):
        raise RequestError(
            f"{source.place((key_of,))}: is {given!r}, not `pe: N, simd: N`",
            hint=f"it folds by {', '.join(keys)}",
        )
    for key, value in given.items():
        place = source.place((key_of, key))
        if key not in keys:
            raise RequestError(
                f"{place}: {user_name(node)} has no {key!r}", hint=f"it folds by {', '.join(keys)}"
            )
        if not isinstance(value, int) or isinstance(value, bool) or value not in keys[key]:
            raise RequestError(
                f"{place}: {key} of {user_name(node)} is {value!r}, which does not divide"
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
    entries: dict[str, Key],
) -> None:
    """Fold padding or windows as what reads them is folded."""
    layer, compute = getCustomOp(node), getCustomOp(reader)
    place = source.place((entries[node.name],)) if node.name in entries else source.place(())
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
            f"{place}: {user_name(node)} moves other channels than {user_name(reader)},"
            f" which has pe {reads}",
            hint="leave the windows out of the file: they follow their layer",
        )
    if parallel and base_op(reader) == "MVAU" and simd != _channels(layer):
        raise RequestError(
            f"{place}: windows that are parallel move all channels at a time",
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
