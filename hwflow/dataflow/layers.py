"""The hardware layers that the lowering makes of networks, one function each.

Each adds a layer to a graph and returns the tensor that it makes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qonnx.core.datatype import DataType

from hwflow.dataflow.graph import OUTPUT, HardwareGraph, Integers, Shape, type_of
from hwflow.kernels.integer_types import integer_type


def padding(graph: HardwareGraph, tensor: str, pads: Sequence[int], *, name: str) -> str:
    """Zeros around an image.

    Args:
        tensor: (1, H, W, C).
        pads: rows above, columns left, rows below, columns right.
        name: see `HardwareGraph.add`.
    """
    _, height, width, channels = graph.shapes[tensor]
    shape = (1, height + pads[0] + pads[2], width + pads[1] + pads[3], channels)
    return graph.add(
        "FMPadding",
        [tensor],
        shape,
        graph.types[tensor],
        name=name,
        ImgDim=[height, width],
        Padding=list(pads),
        NumChannels=channels,
        SIMD=1,
        inputDataType=graph.types[tensor].name,
    )


def windows(
    graph: HardwareGraph,
    tensor: str,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    *,
    depthwise: bool,
    name: str,
) -> str:
    """Every window of an image: (1, H, W, C) to (1, H', W', kh kw C)."""
    _, height, width, channels = graph.shapes[tensor]
    out = [
        (size - spread * (taps - 1) - 1) // step + 1
        for size, taps, step, spread in zip(
            (height, width), kernel, strides, dilations, strict=True
        )
    ]
    return graph.add(
        "ConvolutionInputGenerator",
        [tensor],
        (1, *out, math.prod(kernel) * channels),
        graph.types[tensor],
        name=name,
        ConvKernelDim=list(kernel),
        IFMChannels=channels,
        IFMDim=[height, width],
        OFMDim=out,
        SIMD=1,
        Stride=list(strides),
        Dilation=list(dilations),
        inputDataType=graph.types[tensor].name,
        outputDataType=graph.types[tensor].name,
        depthwise=int(depthwise),
        is1D=int(height == 1 or width == 1),
    )


def product(
    graph: HardwareGraph,
    tensor: str,
    weights: Integers,
    shape: Shape,
    datatype: Any,
    *,
    binary: bool,
    name: str,
) -> str:
    """Vectors times a matrix.

    Args:
        tensor: vectors of MW integers.
        weights: (MW, MH).
        shape, datatype: of the sums.
        binary: whether the weights are -1 and +1 by their quantizer.
        name: see `HardwareGraph.add`.
    """
    weight_type = DataType["BIPOLAR"] if binary else type_of(weights)
    stored = graph.parameter(f"weights{len(graph.nodes)}", weights, weight_type)
    return graph.add(
        "MVAU",
        [tensor, stored],
        shape,
        datatype,
        name=name,
        MW=weights.shape[0],
        MH=weights.shape[1],
        SIMD=1,
        PE=1,
        inputDataType=graph.types[tensor].name,
        weightDataType=weight_type.name,
        outputDataType=datatype.name,
        accDataType=datatype.name,
        noActivation=1,
        numInputVectors=list(shape[:-1]),
    )


def depthwise_product(
    graph: HardwareGraph,
    tensor: str,
    weights: Integers,
    shape: Shape,
    datatype: Any,
    *,
    binary: bool,
    name: str,
) -> str:
    """Each channel's windows times weights of its own, (C, 1, kh, kw)."""
    weight_type = DataType["BIPOLAR"] if binary else type_of(weights)
    stored = graph.parameter(f"weights{len(graph.nodes)}", weights, weight_type)
    return graph.add(
        "VVAU",
        [tensor, stored],
        shape,
        datatype,
        name=name,
        PE=1,
        SIMD=1,
        Dim=list(shape[1:3]),
        Channels=weights.shape[0],
        Kernel=list(weights.shape[2:]),
        inputDataType=graph.types[tensor].name,
        weightDataType=weight_type.name,
        outputDataType=datatype.name,
        accDataType=datatype.name,
        noActivation=1,
    )


def thresholding(
    graph: HardwareGraph,
    tensor: str,
    thresholds: Integers,
    datatype: Any,
    base: int,
    *,
    vectors: Shape,
    channels: int,
    name: str,
) -> str:
    """Integers to `base` + the number of their channel's thresholds that they reach.

    Args:
        tensor: what is compared, seen as (*vectors, channels).
        thresholds: (channels, K) ascending, or (1, K) for all channels.
        datatype: of what it makes; BIPOLAR: one threshold, -1 below it and +1 from it on.
        base: least number.
        vectors, channels: how the layer sees the tensor.
        name: see `HardwareGraph.add`.
    """
    threshold_type = type_of(thresholds)
    stored = graph.parameter(f"thresholds{len(graph.nodes)}", thresholds, threshold_type)
    return graph.add(
        "Thresholding",
        [tensor, stored],
        graph.shapes[tensor],
        datatype,
        name=name,
        NumChannels=channels,
        PE=1,
        numSteps=thresholds.shape[1],
        inputDataType=graph.types[tensor].name,
        weightDataType=threshold_type.name,
        outputDataType=datatype.name,
        numInputVectors=list(vectors),
        ActVal=0 if datatype == DataType["BIPOLAR"] else base,
    )


def pool(
    graph: HardwareGraph,
    tensor: str,
    function: str,
    kernel: Sequence[int],
    datatype: Any,
    *,
    name: str,
) -> str:
    """Greatest or sum of each window: (1, H, W, kh kw C) to (1, H, W, C).

    Args:
        tensor: windows, made with `depthwise`.
        function: MaxPool or AccPool.
        kernel: of the windows.
        datatype: of what it makes.
        name: see `HardwareGraph.add`.
    """
    _, height, width, depth = graph.shapes[tensor]
    channels = depth // math.prod(kernel)
    return graph.add(
        "Pool",
        [tensor],
        (1, height, width, channels),
        datatype,
        name=name,
        Channels=channels,
        PE=1,
        KernelSize=list(kernel),
        Function=function,
        OutImgDims=[height, width],
        InputDataType=graph.types[tensor].name,
        OutputDataType=datatype.name,
        AccumBits=0 if function == "MaxPool" else datatype.bitwidth(),
    )


def global_sum(graph: HardwareGraph, tensor: str, *, name: str) -> str:
    """Sum over a whole image: (1, H, W, C) to (1, 1, 1, C), of a type that holds all sums."""
    _, height, width, channels = graph.shapes[tensor]
    incoming, pixels = graph.types[tensor], height * width
    return graph.add(
        "GlobalAccPool",
        [tensor],
        (1, 1, 1, channels),
        integer_type(pixels * int(incoming.min()), pixels * int(incoming.max())),
        name=name,
        NumChannels=channels,
        PE=1,
        inputDataType=incoming.name,
        numInputVectors=[1, height, width],
    )


def upsample(graph: HardwareGraph, tensor: str, factors: Sequence[int], *, name: str) -> str:
    """Each pixel repeated: (1, H, W, C) to (1, H fh, W fw, C)."""
    _, height, width, channels = graph.shapes[tensor]
    return graph.add(
        "UpsampleNearestNeighbour",
        [tensor],
        (1, height * factors[0], width * factors[1], channels),
        graph.types[tensor],
        name=name,
        SIMD=1,
        HO=height * factors[0],
        WO=width * factors[1],
        HI=height,
        WI=width,
        NumChannels=channels,
        inputDataType=graph.types[tensor].name,
    )


def concat(graph: HardwareGraph, tensors: Sequence[str], *, image: bool, name: str) -> str:
    """Channels of several images, or numbers of several vectors, side by side."""
    shapes = [graph.shapes[tensor] for tensor in tensors]
    channels = [shape[-1] if image else math.prod(shape) for shape in shapes]
    vectors = shapes[0][:-1] if image else (1,)
    types = [graph.types[tensor] for tensor in tensors]
    joined = integer_type(
        int(min(0, *(t.min() for t in types))), int(max(1, *(t.max() for t in types)))
    )
    return graph.add(
        "StreamingConcat",
        tensors,
        (*vectors, sum(channels)),
        joined,
        name=name,
        SIMD=1,
        ChannelsPerStream=channels,
        inputDataTypes=[t.name for t in types],
        numInputVectors=list(vectors),
    )


def sum_of(graph: HardwareGraph, first: str, second: str, datatype: Any, *, name: str) -> str:
    """Two images added, number by number."""
    shape = list(graph.shapes[first])
    return graph.add(
        "ElementwiseAdd",
        [first, second],
        graph.shapes[first],
        datatype,
        name=name,
        lhs_dtype=graph.types[first].name,
        rhs_dtype=graph.types[second].name,
        out_dtype=datatype.name,
        lhs_shape=shape,
        rhs_shape=shape,
        out_shape=shape,
        lhs_style="input",
        rhs_style="input",
        PE=1,
    )


def by_channel(
    graph: HardwareGraph, op: str, tensor: str, values: Integers, datatype: Any, *, name: str
) -> str:
    """Each channel added to (ElementwiseAdd), or times (ElementwiseMul), a number of its own.

    Args:
        op: of the two.
        tensor: (..., C).
        values: (C,).
        datatype: of what it makes.
        name: see `HardwareGraph.add`.
    """
    shape = list(graph.shapes[tensor])
    value_type = type_of(values)
    stored = graph.parameter(f"constants{len(graph.nodes)}", values, value_type)
    return graph.add(
        op,
        [tensor, stored],
        graph.shapes[tensor],
        datatype,
        name=name,
        lhs_dtype=graph.types[tensor].name,
        rhs_dtype=value_type.name,
        out_dtype=datatype.name,
        lhs_shape=shape,
        rhs_shape=[len(values)],
        out_shape=shape,
        lhs_style="input",
        rhs_style="const",
        PE=1,
    )


def label_select(
    graph: HardwareGraph, tensor: str, bias: Integers | None, count: int, *, name: str
) -> str:
    """The indices of the `count` greatest numbers, biases (labels,) added first."""
    inputs = [tensor]
    labels = math.prod(graph.shapes[tensor])
    if bias is not None:
        inputs.append(graph.parameter("label_bias", bias[None], type_of(bias)))
    datatype = integer_type(0, labels - 1)
    return graph.add(
        "LabelSelect",
        inputs,
        (1, count),
        datatype,
        name=name,
        output=OUTPUT,
        Labels=labels,
        PE=1,
        K=count,
        inputDataType=graph.types[tensor].name,
        outputDataType=datatype.name,
        numInputVectors=[1],
    )
