"""The names that hardware layers have in the user's network, beside those of their RTL modules.

They are metadata of the nodes, which transformations that set attributes, rename or replace an
operation by another leave as they are, and which files keep.
"""

from __future__ import annotations

import onnx

_LAYER, _SUFFIX = "hwflow.layer", "hwflow.suffix"


def set_layer(node: onnx.NodeProto, layer: str, suffix: str = "") -> None:
    """Say which layer of the user's network a node belongs to.

    Args:
        node: of a hardware graph.
        layer: name in the user's network.
        suffix: of a node that only belongs to the layer, as `_windows`.
    """
    others = [entry for entry in node.metadata_props if entry.key not in (_LAYER, _SUFFIX)]
    del node.metadata_props[:]
    node.metadata_props.extend(others)
    for key, value in ((_LAYER, layer), (_SUFFIX, suffix)):
        node.metadata_props.add(key=key, value=value)


def layer_name(node: onnx.NodeProto) -> str | None:
    """The layer of the user's network that a node belongs to; None: nobody said."""
    return _metadata(node, _LAYER)


def user_name(node: onnx.NodeProto) -> str:
    """A node's name in the user's network, `block.conv1` or `block.conv1_windows`; its own where
    nobody said."""
    layer = layer_name(node)
    return node.name if layer is None else layer + (_metadata(node, _SUFFIX) or "")


def both_names(node: onnx.NodeProto) -> str:
    """A node's name for messages: that in the user's network, and where it is another the RTL
    module's."""
    name = user_name(node)
    return name if name == node.name else f"{name} ({node.name})"


def _metadata(node: onnx.NodeProto, key: str) -> str | None:
    return next((entry.value for entry in node.metadata_props if entry.key == key), None)
