"""Pools: maxima and averages over windows and over whole images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwflow.exchange.importing.graph import Tensor
from hwflow.exchange.importing.nodes import Node, Value
from hwflow.exchange.importing.normal import Translator
from hwflow.exchange.importing.windows import explicit_pads, made_sizes, numbers


def max_pool(t: Translator, node: Node) -> Value:
    """MaxPool, its padding in numbers."""
    return _pool(t, node, "MaxPool")


def average_pool(t: Translator, node: Node) -> Value:
    """AveragePool; of the whole image it is GlobalAveragePool."""
    return _pool(t, node, "AveragePool")


def _pool(t: Translator, node: Node, kind: str) -> Value:
    tensor = t.graph.channels_first(t.plain(node, t.tensor(node)), node.name)
    tensor = t.quantized_input(node, tensor)
    images = len(tensor.shape) - 2
    kernel = [int(n) for n in node.attributes["kernel_shape"]]
    if any(n != 1 for n in numbers(node, "dilations", images)):
        raise node.refusal("a pool with dilation is not supported", "use windows without gaps")
    strides, sizes = numbers(node, "strides", images), tensor.shape[2:]
    pads = explicit_pads(node, sizes, kernel)
    ceil = bool(node.attributes.get("ceil_mode", 0))
    made = made_sizes(node, sizes, kernel, strides, pads, ceil=ceil)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if kind == "AveragePool":
        if tuple(kernel) == sizes and not any(pads):
            return _global(t, node, tensor)
        if any(pads) and not node.attributes.get("count_include_pad", 0):
            raise node.refusal(
                "an average pool that leaves its padding out is not supported",
                "use count_include_pad=1, or no padding",
            )
        attributes["count_include_pad"] = 1
    shape = (*tensor.shape[:2], *made)
    name = t.graph.add(
        kind, [tensor.name], shape, name=node.name, output=node.proto.output[0], **attributes
    )
    kept = tensor.quantized and kind == "MaxPool"
    return Tensor(name, shape, tensor.axes, quantized=kept)


def global_average_pool(t: Translator, node: Node) -> Value:
    """GlobalAveragePool."""
    tensor = t.graph.channels_first(t.plain(node, t.tensor(node)), node.name)
    return _global(t, node, t.quantized_input(node, tensor))


def global_max_pool(t: Translator, node: Node) -> Value:
    """GlobalMaxPool: a MaxPool whose window is the image."""
    tensor = t.graph.channels_first(t.plain(node, t.tensor(node)), node.name)
    tensor = t.quantized_input(node, tensor)
    images = len(tensor.shape) - 2
    shape = (*tensor.shape[:2], *[1] * images)
    name = t.graph.add(
        "MaxPool",
        [tensor.name],
        shape,
        name=node.name,
        output=node.proto.output[0],
        kernel_shape=list(tensor.shape[2:]),
        strides=[1] * images,
        pads=[0] * 2 * images,
    )
    return Tensor(name, shape, tensor.axes, quantized=tensor.quantized)


def reduce_mean(t: Translator, node: Node) -> Value:
    """ReduceMean over all axes of the image: GlobalAveragePool, as newer exporters write it."""
    tensor = t.plain(node, t.tensor(node))
    rank = len(tensor.shape)
    if len(node.inputs) > 1 and node.inputs[1]:
        axes = t.constants.integers(node.inputs[1])
    else:
        axes = [int(n) for n in node.attributes.get("axes", range(rank))]
    reduced = {tensor.axes[axis % rank] for axis in axes}
    if reduced != set(range(2, rank)) or rank < 3:
        raise node.refusal(
            f"a mean over the axes {sorted(axes)} is not supported",
            "take means over whole images, for each channel",
        )
    tensor = t.quantized_input(node, tensor)
    kept = bool(node.attributes.get("keepdims", 1))
    pooled = _global(t, node, tensor, None if kept else f"{node.name}_pool")
    if kept:
        return pooled
    shape = tensor.shape[:2]
    name = t.graph.add(
        "Flatten", [pooled.name], shape, name=node.name, output=node.proto.output[0], axis=1
    )
    return Tensor(name, shape, (0, 1))


def _global(t: Translator, node: Node, tensor: Tensor, name: str | None = None) -> Tensor:
    shape = (*tensor.shape[:2], *[1] * (len(tensor.shape) - 2))
    made = t.graph.add(
        "GlobalAveragePool",
        [tensor.name],
        shape,
        name=name or node.name,
        output=name or node.proto.output[0],
    )
    return replace(tensor, name=made, shape=shape, quantized=False)
