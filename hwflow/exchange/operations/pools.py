"""MaxPool, GlobalMaxPool and AveragePool: pools over windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.exchange.operations.averages import global_average, mean_of_sum
from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.operations.windows import (
    WINDOWS,
    beyond,
    explicit_pads,
    made_sizes,
    numbers,
    pad_images,
    window_view,
)
from hwflow.exchange.translation.graph import Tensor
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Float, Quantized, Value, real


def max_pool(t: Translation, node: Node) -> Activation:
    """MaxPool, its padding in numbers. What windows with `ceil_mode` see behind the image's end is
    never the greatest: it is padding."""
    tensor = _image(t, node)
    images, sizes = len(tensor.shape) - 2, tensor.shape[2:]
    kernel, strides = _kernel(node, images), numbers(node, "strides", images)
    pads = explicit_pads(node, sizes, kernel)
    if node.attributes.get("ceil_mode", 0):
        ends = beyond(sizes, kernel, strides, pads)
        pads = [*pads[:images], *(n + more for n, more in zip(pads[images:], ends, strict=True))]
    shape = (*tensor.shape[:2], *made_sizes(node, sizes, kernel, strides, pads))
    name = t.add(
        node,
        "MaxPool",
        [tensor.name],
        shape,
        kernel_shape=kernel,
        strides=strides,
        pads=pads,
    )
    return Tensor(name, shape, tensor.axes, quantized=tensor.quantized)


def global_max_pool(t: Translation, node: Node) -> Activation:
    """GlobalMaxPool: a MaxPool whose window is the image."""
    tensor = _image(t, node)
    images = len(tensor.shape) - 2
    shape = (*tensor.shape[:2], *[1] * images)
    name = t.add(
        node,
        "MaxPool",
        [tensor.name],
        shape,
        kernel_shape=list(tensor.shape[2:]),
        strides=[1] * images,
        pads=[0] * 2 * images,
    )
    return Tensor(name, shape, tensor.axes, quantized=tensor.quantized)


def average_pool(t: Translation, node: Node) -> Activation:
    """AveragePool; of the whole image it is GlobalAveragePool."""
    tensor = _image(t, node)
    images, sizes = len(tensor.shape) - 2, tensor.shape[2:]
    kernel, strides = _kernel(node, images), numbers(node, "strides", images)
    pads = explicit_pads(node, sizes, kernel)
    if node.attributes.get("ceil_mode", 0) and any(beyond(sizes, kernel, strides, pads)):
        raise node.refusal(
            "an average pool with ceil_mode whose last windows end beyond the image is not"
            " supported",
            "use ceil_mode=0, or images of a size that fits",
        )
    pooled_sizes = made_sizes(node, sizes, kernel, strides, pads)
    if tuple(kernel) == sizes and not any(pads):
        return global_average(t, node, tensor)
    if any(pads) and not node.attributes.get("count_include_pad", 0):
        raise node.refusal(
            "an average pool that leaves its padding out is not supported",
            "use count_include_pad=1, or no padding",
        )
    shape = (*tensor.shape[:2], *pooled_sizes)
    name = t.add(
        node,
        "AveragePool",
        [tensor.name],
        shape,
        kernel_shape=kernel,
        strides=strides,
        pads=pads,
        count_include_pad=1,
    )
    return Tensor(name, shape, tensor.axes)


def _image(t: Translation, node: Node) -> Tensor:
    tensor = t.graph.channels_first(t.plain(node, t.tensor(node)), node.name)
    if len(tensor.shape) < 3:
        raise node.refusal(
            f"its input has the shape {tensor.file_shape}, which is no image", "pool images"
        )
    return t.quantized_input(node, tensor)


def _kernel(node: Node, images: int) -> list[int]:
    if any(n != 1 for n in numbers(node, "dilations", images)):
        raise node.refusal("a pool with dilation is not supported", "use windows without gaps")
    return [int(n) for n in node.attributes["kernel_shape"]]


# ------------------------------------------------------------------------------------ reference


def maxima(operands: list[Value], node: Node) -> Value:
    """Maxima over windows of (N, C, ...); codes stay codes, for scales are positive."""
    x = operands[0]
    if isinstance(x, Quantized):
        return Quantized(_maxima(x.codes, node), x.scale, x.minimum, x.maximum, x.bipolar)
    return _maxima(x, node)


def _maxima(x: Float, node: Node) -> Float:
    if any(step != 1 for step in node.attributes.get("dilations", ())):
        raise HwflowError("max pools with dilation are not supported", hint="use a plain one")
    windows = window_view(pad_images(x, node, -np.inf), node)
    greatest: Float = windows.max(axis=tuple(range(2 - x.ndim, 0)))
    return greatest


def averages(operands: list[Value], node: Node) -> Value:
    """Means over windows of (N, C, ...), which count their padding: real values.

    Raises:
        HwflowError: they leave it out, or have gaps.
    """
    x, kernel = operands[0], tuple(node.attributes["kernel_shape"])
    padded = any(node.attributes.get("pads", ())) and not node.attributes.get("count_include_pad")
    if padded or any(step != 1 for step in node.attributes.get("dilations", ())):
        raise HwflowError(
            "average pools with dilation, or with padding that does not count, are not supported",
            hint="pad before the pool, or set count_include_pad",
        )
    count, axes = int(np.prod(kernel)), tuple(range(-len(kernel), 0))
    codes = isinstance(x, Quantized) and x.scale.size == 1
    values: Any = x.codes if isinstance(x, Quantized) and codes else real(x)
    total = window_view(pad_images(values, node, 0.0), node).sum(axis=axes)
    if isinstance(x, Quantized) and codes:
        return mean_of_sum(total, x.scale.reshape(()), count)
    means: Float = total / count
    return means


OPERATIONS = (
    Operation(
        ("MaxPool",),
        reads=WINDOWS | {"dilations", "ceil_mode"},
        idle=frozenset({"storage_order"}),  # Of the second output, which nothing takes.
        normal={"auto_pad": b"NOTSET", "ceil_mode": 0},
        translate=max_pool,
        evaluate=maxima,
        lowering="max_pool",
        batching=EACH,
    ),
    Operation(("GlobalMaxPool",), translate=global_max_pool, batching=EACH),
    Operation(
        ("AveragePool",),
        reads=WINDOWS | {"dilations", "ceil_mode", "count_include_pad"},
        normal={"auto_pad": b"NOTSET", "ceil_mode": 0},
        translate=average_pool,
        evaluate=averages,
        lowering="average_pool",
        batching=EACH,
    ),
)
