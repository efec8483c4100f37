"""The emulation of each layer of a hardware graph, from its FINN op."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.specialise import base_op, has_constant
from hwflow.emulate.layers import (
    ArgMax,
    Concatenation,
    Convolution,
    GlobalSum,
    Integers,
    Layer,
    Linear,
    Padding,
    Repeat,
    Same,
    Sum,
    WindowPool,
    Windows,
)
from hwflow.emulate.ranges import Range
from hwflow.emulate.steps import TABLE, Steps, TableSteps, even_steps
from hwflow.errors import HwflowError

# These move integers and change none.
TRANSPARENT = frozenset({"StreamingFIFO", "StreamingDataWidthConverter", "DuplicateStreams"})


def emulation(model: ModelWrapper, node: Any, windows: Any, known: Range) -> Layer:
    """What a hardware layer computes.

    Args:
        model: its graph.
        node: the layer.
        windows: the node that slides windows over the image in front of it, which the layer then
            reads; None: it reads what comes as it is.
        known: range of each channel of what comes.

    Raises:
        HwflowError: it has no emulation.
    """
    op = base_op(node)
    if op in TRANSPARENT:
        return Same()
    if op != "Thresholding" and op not in LAYERS:
        raise HwflowError(
            f"{node.name}: {node.op_type} has no emulation",
            hint=f"emulated are {', '.join(LAYERS)}",
        )
    if op == "Thresholding":
        return _thresholding(model, node, known)
    return LAYERS[op](model, node, windows)


def _initializer(model: ModelWrapper, name: str) -> Integers:
    values = model.get_initializer(name)
    if values is None or not np.array_equal(values, np.rint(values)):
        raise HwflowError(f"{name}: the hardware graph has parameters that are no integers")
    return values.astype(np.int64)


def _magnitude(*types: Any) -> int:
    return int(max(max(abs(t.min()), abs(t.max())) for t in types))


def _attribute(node: Any, name: str) -> Any:
    return getCustomOp(node).get_nodeattr(name)


def _no_thresholds(node: Any) -> None:
    if not _attribute(node, "noActivation"):
        raise HwflowError(f"{node.name}: a layer with thresholds inside is not emulated")


def _product(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    _no_thresholds(node)
    magnitude = _magnitude(model.get_tensor_datatype(node.input[0]))
    weights = _initializer(model, node.input[1])
    if windows is None:
        return Linear(weights, magnitude, _attribute(node, "numInputVectors")[1:])
    kernel, channels = _attribute(windows, "ConvKernelDim"), _attribute(windows, "IFMChannels")
    kernels = weights.T.reshape(-1, *kernel, channels).transpose(0, 3, 1, 2)
    return _convolution(kernels, magnitude, windows, groups=1)


def _depthwise(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    _no_thresholds(node)
    magnitude = _magnitude(model.get_tensor_datatype(node.input[0]))
    weights = _initializer(model, node.input[1])
    if windows is None:  # One tap: each channel times a number.
        bound = magnitude * int(np.abs(weights).max())
        return Sum(weights.reshape(-1), max(bound, magnitude), multiply=True)
    return _convolution(weights, magnitude, windows, groups=len(weights))


def _convolution(kernels: Integers, magnitude: int, windows: Any, groups: int) -> Layer:
    strides, dilations = _attribute(windows, "Stride"), _attribute(windows, "Dilation")
    return Convolution(kernels, magnitude, strides, dilations, groups)


def _windows(model: ModelWrapper, node: Any, windows: Any) -> Windows:
    return Windows(
        _attribute(node, "ConvKernelDim"),
        _attribute(node, "Stride"),
        _attribute(node, "Dilation"),
    )


def _padding(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    return Padding(_attribute(node, "Padding"))


def _pool(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    function, taps = _attribute(node, "Function"), math.prod(_attribute(node, "KernelSize"))
    if function not in {"MaxPool", "AccPool"}:
        raise HwflowError(f"{node.name}: the pool {function} is not emulated")
    incoming = model.get_tensor_datatype(node.input[0])
    bound = _magnitude(incoming) * (1 if function == "MaxPool" else taps)
    slides = None if windows is None else _windows(model, windows, None)
    return WindowPool(slides, function, taps, bound)


def _global_sum(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    pixels = math.prod(_attribute(node, "numInputVectors"))
    return GlobalSum(pixels * _magnitude(model.get_tensor_datatype(node.input[0])))


def _upsample(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    sizes = {name: _attribute(node, name) for name in ("HO", "WO", "HI", "WI")}
    return Repeat((sizes["HO"] // sizes["HI"], sizes["WO"] // sizes["WI"]))


def _elementwise(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    multiply = base_op(node) == "ElementwiseMul"
    constant = _initializer(model, node.input[1]).reshape(-1) if has_constant(node) else None
    bound = _magnitude(*(model.get_tensor_datatype(n) for n in (*node.input, *node.output)))
    return Sum(constant, bound, multiply=multiply)


def _concat(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    return Concatenation(_attribute(node, "numInputVectors")[1:])


def _thresholding(model: ModelWrapper, node: Any, known: Range) -> Layer:
    layer, datatype = getCustomOp(node), model.get_tensor_datatype(node.input[0])
    thresholds = _initializer(model, node.input[1])
    bipolar = layer.get_output_datatype() == DataType["BIPOLAR"]
    base, factor = (-1, 2) if bipolar else (int(layer.get_nodeattr("ActVal")), 1)
    channels = layer.get_nodeattr("NumChannels")
    low, high = (np.resize(end, channels) for end in known)
    if len(thresholds) == 1:  # One function for all channels, however the tensor is seen.
        low, high = low.min(keepdims=True), high.max(keepdims=True)
    even = even_steps(thresholds, low, high, base, factor)
    if even is not None:
        return even
    least, greatest = int(low.min()), int(high.max())
    if len(thresholds) * (greatest - least + 1) <= TABLE:
        return TableSteps(thresholds, least, greatest, base, factor)
    rows = np.broadcast_to(thresholds, (channels, thresholds.shape[1]))
    return Steps(rows, max(_magnitude(datatype), int(np.abs(rows).max())), base, factor)


def _label_select(model: ModelWrapper, node: Any, windows: Any) -> Layer:
    bias = np.zeros(_attribute(node, "Labels"), np.int64)
    if len(node.input) > 1:
        bias = _initializer(model, node.input[1]).reshape(-1)
    return ArgMax(bias, _attribute(node, "K"))


LAYERS: dict[str, Callable[[ModelWrapper, Any, Any], Layer]] = {
    "MVAU": _product,
    "VVAU": _depthwise,
    "ConvolutionInputGenerator": _windows,
    "FMPadding": _padding,
    "Pool": _pool,
    "GlobalAccPool": _global_sum,
    "UpsampleNearestNeighbour": _upsample,
    "ElementwiseAdd": _elementwise,
    "ElementwiseMul": _elementwise,
    "StreamingConcat": _concat,
    "LabelSelect": _label_select,
}
