"""Pools, averages, upsampling, flattening: what is done to images without weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import onnx

from hwflow.dataflow import layers
from hwflow.dataflow.graph import HardwareGraph, Integers, Shape
from hwflow.dataflow.rules.rule import Rule
from hwflow.dataflow.windows import Geometry, attributes_of, geometry, padded, slid
from hwflow.dataflow.wires import Function, Wire, channel_grid, falling, negated
from hwflow.errors import HwflowError
from hwflow.exchange.operations.averages import mean_of_sum
from hwflow.exchange.reference import Quantized, Reference, Value, evaluate, real
from hwflow.kernels.integer_types import integer_type


def max_pool(graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire) -> Wire:
    """Greatest integers of windows, which stand for the greatest values.

    Padding, which never is the greatest, is a pixel of zeros below all codes: where codes can be
    negative they are shifted up before and down behind the pool.
    """
    windows = geometry(node, attributes_of(node)["kernel_shape"], wire.shape)
    wire = negated(graph, wire, falling(wire))
    tensor = wire.name
    shift = max(0, -int(wire.low.min())) if windows.is_padded else 0
    if shift:
        tensor = _shifted(graph, tensor, wire, shift, 0)
    tensor = padded(graph, tensor, windows, name=node.name)
    # Windows of one pixel only leave pixels out; they come in no order of their own.
    several = math.prod(windows.kernel) > 1
    tensor = slid(graph, tensor, windows, depthwise=several, name=node.name)
    if several:
        tensor = layers.pool(
            graph, tensor, "MaxPool", windows.kernel, graph.types[tensor], name=node.name
        )
    if shift:
        tensor = _shifted(graph, tensor, wire, -shift, shift)
    return _of_windows(wire, tensor, windows)


def _shifted(graph: HardwareGraph, tensor: str, wire: Wire, shift: int, before: int) -> str:
    """Integers plus a number, where they have been shifted by `before` already."""
    low, high = int(wire.low.min()) + before + shift, int(wire.high.max()) + before + shift
    values = np.full(wire.shape[0], shift)
    return layers.by_channel(
        graph, "ElementwiseAdd", tensor, values, integer_type(low, high), name="shift"
    )


def average_pool(
    graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire
) -> Wire:
    """Sums of windows; the division is in the thresholds behind them."""
    windows = geometry(node, attributes_of(node)["kernel_shape"], wire.shape)
    _check_codes(node, wire)
    count = math.prod(windows.kernel)
    low, high = wire.low, wire.high
    if windows.is_padded:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    tensor = padded(graph, wire.name, windows, name=node.name)
    if windows.is_whole:
        tensor = layers.global_sum(graph, tensor, name=node.name)
    else:
        tensor = slid(graph, tensor, windows, depthwise=True, name=node.name)
        sums = integer_type(count * int(low.min()), count * int(high.max()))
        tensor = layers.pool(graph, tensor, "AccPool", windows.kernel, sums, name=node.name)
    return replace(
        _of_windows(wire, tensor, windows),
        low=count * low,
        high=count * high,
        function=_mean(wire, count),
        nodes=(node.name,),
        bipolar=False,
    )


def global_average(
    graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire
) -> Wire:
    """Sums of whole images, by GlobalAveragePool or ReduceMean."""
    if not wire.is_image:
        raise HwflowError(
            f"{node.name}: an average of vectors can't be lowered", hint="average images"
        )
    _check_codes(node, wire)
    sample = np.zeros((1, *wire.shape))
    average = evaluate(node, reference.operands(node, {node.input[0]: sample}))  # Checks the axes.
    shape = real(average).shape[1:]
    count = math.prod(wire.shape[1:])
    mean = _mean(wire, count)
    return replace(
        wire,
        name=layers.global_sum(graph, wire.name, name=node.name),
        shape=shape,
        grid=shape,
        low=count * wire.low,
        high=count * wire.high,
        function=lambda n: real(mean(n.reshape(-1, *channel_grid(wire.shape)))).reshape(n.shape),
        maker=None,
        shared=False,
        nodes=(node.name,),
        bipolar=False,
    )


def _check_codes(node: onnx.NodeProto, wire: Wire) -> None:
    if not wire.is_code or wire.nodes:
        raise HwflowError(
            f"{node.name}: an average of values that are not quantized can't be lowered",
            hint="put a quantizer in front of the average, with one scale for all channels",
        )


def _mean(wire: Wire, count: int) -> Function:
    sample = wire.at(wire.low[None])
    assert isinstance(sample, Quantized)
    scale = sample.scale.reshape(())
    return lambda n: mean_of_sum(n.astype(np.float64), scale, count)


def _of_windows(wire: Wire, tensor: str, windows: Geometry) -> Wire:
    """What is known of integers, of a pool's output."""
    shape = (wire.shape[0], *windows.out[: len(wire.shape) - 1])
    return replace(
        wire, name=tensor, shape=shape, grid=channel_grid(shape), maker=None, shared=False
    )


def upsampling(
    graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire
) -> Wire:
    """Each pixel repeated: nearest upsampling by whole factors."""
    if not wire.is_image:
        raise HwflowError(
            f"{node.name}: upsampling of vectors can't be lowered", hint="upsample images"
        )
    sample = np.zeros((1, *wire.shape))
    upsampled = evaluate(node, reference.operands(node, {node.input[0]: sample}))
    sizes = zip(real(upsampled).shape[2:], wire.shape[1:], strict=True)
    factors = tuple(after // before for after, before in sizes)
    shape = (wire.shape[0], *(n * f for n, f in zip(wire.shape[1:], factors, strict=True)))
    return replace(
        wire,
        name=layers.upsample(graph, wire.name, (*factors, 1)[:2], name=node.name),
        shape=shape,
        maker=None,
        shared=False,
    )


def reshaping(graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire) -> Wire:
    """Flatten and what does the same: no layer, for the numbers stay where they are.

    Behind it each number is known for itself, and where it lies: hardware's channels last.
    """
    sample = np.zeros((1, *wire.shape))
    shape = real(evaluate(node, reference.operands(node, {node.input[0]: sample}))).shape[1:]
    if shape == wire.shape:
        return wire
    if len(shape) != 1:
        raise HwflowError(
            f"{node.name}: a change of shape from {wire.shape} to {shape} can't be lowered",
            hint="use Flatten, between the image and the linear layers",
        )
    before, original = wire.function, wire.shape

    def function(n: Integers) -> Value:
        value = before(n.reshape(len(n), *original))
        return evaluate(node, reference.operands(node, {node.input[0]: value}))

    low, high, order = wire.low, wire.high, wire.order
    if wire.is_image:
        pixels = math.prod(original[1:])
        low, high = np.repeat(low, pixels), np.repeat(high, pixels)
        order = _channels_last(original)
    return replace(
        wire, shape=shape, grid=shape, low=low, high=high, function=function, order=order
    )


def _channels_last(shape: Shape) -> Integers | None:
    """Which of an image's numbers lies where, channels last; None: every one where it was."""
    positions = np.arange(math.prod(shape)).reshape(shape)
    order = np.moveaxis(positions, 0, -1).reshape(-1)
    return None if np.array_equal(order, np.arange(len(order))) else order


RULES = (
    Rule("max_pool", lower=max_pool),
    Rule("average_pool", lower=average_pool),
    Rule("global_average", lower=global_average),
    Rule("upsampling", lower=upsampling),
    Rule("reshaping", lower=reshaping),
)
