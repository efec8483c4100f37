"""What range the integers of each channel of a hardware graph can have.

Intervals are propagated from the input's type: a tighter range than a tensor's type gives, for
weights and thresholds are known. A tensor's range is (C,), of its last axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.specialise import base_op, has_constant
from hwflow.emulate.layers import Integers

Range = tuple[Integers, Integers]


def channel_ranges(model: ModelWrapper) -> dict[str, Range]:
    """Least and greatest integer of each channel, by tensor."""
    name = model.graph.input[0].name
    datatype, channels = model.get_tensor_datatype(name), model.get_tensor_shape(name)[-1]
    ends = (int(datatype.min()), int(datatype.max()))
    ranges: dict[str, Range] = {name: (np.full(channels, ends[0]), np.full(channels, ends[1]))}
    for node in model.graph.node:
        inputs = [ranges[name] for name in node.input if name in ranges]
        found = RANGES.get(base_op(node), _same)(model, node, inputs)
        ranges.update(dict.fromkeys(node.output, found))
    return ranges


def _same(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    return inputs[0]


def _weights(model: ModelWrapper, node: Any) -> Integers:
    return model.get_initializer(node.input[1]).astype(np.int64)


def _product(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    matrix = _weights(model, node)
    low, high = (np.tile(end, len(matrix) // len(end)) for end in inputs[0])
    positive, negative = np.maximum(matrix, 0), np.minimum(matrix, 0)
    return low @ positive + high @ negative, high @ positive + low @ negative


def _depthwise(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    kernels = _weights(model, node).reshape(getCustomOp(node).get_nodeattr("Channels"), -1)
    low, high = (end.reshape(-1, len(kernels)).T for end in inputs[0])
    positive, negative = np.maximum(kernels, 0), np.minimum(kernels, 0)
    return (
        (low * positive + high * negative).sum(axis=1),
        (high * positive + low * negative).sum(axis=1),
    )


def _padding(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    low, high = inputs[0]
    return np.minimum(low, 0), np.maximum(high, 0)


def _windows(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    low, high = inputs[0]
    taps = math.prod(getCustomOp(node).get_nodeattr("ConvKernelDim"))
    return np.tile(low, taps), np.tile(high, taps)


def _pool(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    layer = getCustomOp(node)
    low, high = (end.reshape(-1, layer.get_nodeattr("Channels")) for end in inputs[0])
    if layer.get_nodeattr("Function") == "MaxPool":
        return low.max(axis=0), high.max(axis=0)
    return low.sum(axis=0), high.sum(axis=0)


def _global_sum(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    pixels = math.prod(getCustomOp(node).get_nodeattr("numInputVectors"))
    return pixels * inputs[0][0], pixels * inputs[0][1]


def _elementwise(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    low, high = inputs[0]
    if not has_constant(node):
        return low + inputs[1][0], high + inputs[1][1]
    constant = _weights(model, node).reshape(-1)
    if base_op(node) == "ElementwiseAdd":
        return low + constant, high + constant
    return np.minimum(low * constant, high * constant), np.maximum(low * constant, high * constant)


def _concat(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    counts = getCustomOp(node).get_nodeattr("ChannelsPerStream")
    parts = [
        (np.tile(low, count // len(low)), np.tile(high, count // len(high)))
        for (low, high), count in zip(inputs, counts, strict=True)
    ]
    low, high = zip(*parts, strict=True)
    return np.concatenate(low), np.concatenate(high)


def _thresholding(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    layer, thresholds = getCustomOp(node), _weights(model, node)
    channels = len(inputs[0][0])
    if len(thresholds) > channels:  # Each number of a flattened image has its own.
        low, high = (np.tile(end, len(thresholds) // channels) for end in inputs[0])
    else:
        low, high = inputs[0]
    steps = [(thresholds <= end[:, None]).sum(axis=1) for end in (low, high)]
    if layer.get_output_datatype() == DataType["BIPOLAR"]:
        made = [2 * count - 1 for count in steps]
    else:
        made = [count + layer.get_nodeattr("ActVal") for count in steps]
    return made[0].reshape(-1, channels).min(axis=0), made[1].reshape(-1, channels).max(axis=0)


def _label(model: ModelWrapper, node: Any, inputs: list[Range]) -> Range:
    labels, count = (getCustomOp(node).get_nodeattr(name) for name in ("Labels", "K"))
    return np.zeros(count, np.int64), np.full(count, labels - 1)


RANGES: dict[str, Callable[[ModelWrapper, Any, list[Range]], Range]] = {
    "MVAU": _product,
    "VVAU": _depthwise,
    "FMPadding": _padding,
    "ConvolutionInputGenerator": _windows,
    "Pool": _pool,
    "GlobalAccPool": _global_sum,
    "ElementwiseAdd": _elementwise,
    "ElementwiseMul": _elementwise,
    "StreamingConcat": _concat,
    "Thresholding": _thresholding,
    "LabelSelect": _label,
}
