"""Folding by a file: what a user says of each layer, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from hwflow.config.yaml_source import Key, Source, load_yaml, nearest
from hwflow.errors import HwflowError, RequestError
from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.layer import HardwareLayer
from hwflow.kernels.layer_names import user_name
from hwflow.kernels.windows.reading import ImagePreparation, reader_of


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
        layer = hardware_layer(node)
        _fold(layer, _given(source, layer, entries))
    for node in reversed(model.graph.node):  # Padding after the windows that it is for.
        reader, layer = reader_of(model, node), hardware_layer(node)
        if reader is None or not isinstance(layer, ImagePreparation):
            continue
        try:
            layer.follow(model, reader, _given(source, layer, entries))
        except HwflowError as error:
            location = source.place((entries[node.name],) if node.name in entries else ())
            raise RequestError(f"{location}: {error.message}", hint=error.hint) from error


def _entries(source: Source, model: ModelWrapper) -> dict[str, Key]:
    """By RTL name, which entry of a file is of a layer."""
    users: dict[str, list[str]] = {}
    for node in model.graph.node:
        users.setdefault(user_name(node), []).append(node.name)
    own = {node.name for node in model.graph.node}
    in_users_names = all(str(key) in users for key in source.data)
    entries: dict[str, Key] = {}
    for key in source.data:
        name, location = str(key), source.place((key,))
        if isinstance(key, float):
            raise RequestError(
                f"{location}: {key} is a number, not the name of a layer", hint="write it in quotes"
            )
        meant = dict.fromkeys(users.get(name, ()))
        if name in own and not in_users_names:
            meant[name] = None
        if not meant:
            raise RequestError(
                f"{location}: the network has no layer {name!r}", hint=nearest(name, list(users))
            )
        if len(meant) > 1:
            raise RequestError(
                f"{location}: {name} can mean the RTL modules {' and '.join(meant)}",
                hint="name all layers as in the network: hwflow check lists both names",
            )
        (rtl_name,) = meant
        if rtl_name in entries:
            raise RequestError(
                f"{location}: {name} and {entries[rtl_name]} are the same layer",
                hint="keep one of them",
            )
        entries[rtl_name] = key
    return entries


def _given(source: Source, layer: HardwareLayer, entries: dict[str, Key]) -> dict[str, int]:
    """What the file says of a layer."""
    node = layer.onnx_node
    if node.name not in entries:
        return {}
    data: dict[Any, Any] = source.data
    key_of = entries[node.name]
    folding, keys = data[key_of] or {}, layer.choices()
    if not isinstance(folding, dict):
        raise RequestError(
            f"{source.place((key_of,))}: is {folding!r}, not `pe: N, simd: N`",
            hint=f"it folds by {', '.join(keys)}",
        )
    for key, value in folding.items():
        location = source.place((key_of, key))
        if key not in keys:
            raise RequestError(
                f"{location}: {user_name(node)} has no {key!r}",
                hint=f"it folds by {', '.join(keys)}",
            )
        if not isinstance(value, int) or isinstance(value, bool) or value not in keys[key]:
            raise RequestError(
                f"{location}: {key} of {user_name(node)} is {value!r}, which does not divide"
                f" {keys[key][-1]}",
                hint=f"one of {', '.join(map(str, keys[key]))}",
            )
    return folding


def _fold(layer: HardwareLayer, folding: dict[str, int]) -> None:
    for key in layer.sizes():
        layer.set_nodeattr(key.upper(), folding.get(key, 1))
