"""Graphs of one hardware layer each, of any shape, types and folding."""

import math

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from tests.support.bench import one_layer
from tests.support.hardware_graphs import HardwareGraph


def xnor_mvau(mw, mh, pe, simd, vectors, random):
    weights = random.choice([-1, 1], (mw, mh))
    return one_layer(
        "XnorMVAU_rtl",
        [("BIPOLAR", [1, vectors, mw]), ("BIPOLAR", weights)],
        MW=mw,
        MH=mh,
        PE=pe,
        SIMD=simd,
        inputDataType="BIPOLAR",
        weightDataType="BIPOLAR",
        outputDataType=f"INT{int(mw).bit_length() + 1}",
        numInputVectors=[1, vectors],
        noActivation=1,
    )


def label_select(labels, pe, datatype, bias, random, k=1):
    inputs = [(datatype, [1, labels])]
    if bias:
        inputs.append(("INT8", random.integers(-20, 20, (1, labels))))
    return one_layer(
        "LabelSelect_rtl",
        inputs,
        Labels=labels,
        PE=pe,
        K=k,
        inputDataType=datatype,
        outputDataType=DataType.get_smallest_possible(labels - 1).name,
    )


def random_numbers(datatype, shape, random):
    if datatype == "BIPOLAR":
        return random.choice([-1, 1], shape)
    numbers = DataType[datatype]
    return random.integers(int(numbers.min()), int(numbers.max()) + 1, shape)


def sum_type(weights, datatype):
    """The narrowest type of sums of inputs by weights (terms, sums)."""
    low, high = int(DataType[datatype].min()), int(DataType[datatype].max())
    least = np.minimum(weights * low, weights * high).sum(axis=0).min()
    most = np.maximum(weights * low, weights * high).sum(axis=0).max()
    if least >= 0:
        return f"UINT{max(int(most).bit_length(), 1)}"
    return f"INT{max(int(-least - 1).bit_length(), int(most).bit_length()) + 1}"


def lut_mvau(mw, mh, pe, simd, types, vectors, random):
    weights = random_numbers(types[0], (mw, mh), random)
    sums = sum_type(weights, types[1])
    return one_layer(
        "LutMVAU_rtl",
        [(types[1], [*vectors, mw]), (types[0], weights)],
        MW=mw,
        MH=mh,
        PE=pe,
        SIMD=simd,
        inputDataType=types[1],
        weightDataType=types[0],
        outputDataType=sums,
        accDataType=sums,
        numInputVectors=vectors,
        noActivation=1,
    )


def vvau(channels, kernel, pe, simd, types, size, resource, random):
    weights = random_numbers(types[0], (channels, 1, *kernel), random)
    sums = sum_type(weights.reshape(channels, -1).T, types[1])
    return one_layer(
        "VVAU_rtl",
        [(types[1], [1, *size, channels * kernel[0] * kernel[1]]), (types[0], weights)],
        Channels=channels,
        Kernel=kernel,
        Dim=size,
        PE=pe,
        SIMD=simd,
        resType=resource,
        inputDataType=types[1],
        weightDataType=types[0],
        outputDataType=sums,
        accDataType=sums,
        noActivation=1,
    )


def duplicate_streams(datatype, vectors, channels, pe, copies):
    return one_layer(
        "DuplicateStreams_rtl",
        [(datatype, [*vectors, channels])],
        outputs=copies,
        NumChannels=channels,
        PE=pe,
        NumOutputStreams=copies,
        inputDataType=datatype,
        numInputVectors=vectors,
    )


def elementwise_add(lhs, rhs, shape, pe, output=None):
    model = one_layer(
        "ElementwiseAdd_rtl",
        [(lhs, shape), (rhs, shape)],
        lhs_dtype=lhs,
        rhs_dtype=rhs,
        out_dtype=output or "INT32",
        lhs_shape=shape,
        rhs_shape=shape,
        out_shape=shape,
        PE=pe,
    )
    if output is None:
        getCustomOp(model.graph.node[0]).minimize_accumulator_width(model)
    return model


def streaming_concat(types, vectors, channels, simd):
    return one_layer(
        "StreamingConcat_rtl",
        [(t, [*vectors, c]) for t, c in zip(types, channels, strict=True)],
        SIMD=simd,
        ChannelsPerStream=channels,
        inputDataTypes=types,
        numInputVectors=vectors,
    )


def width_converter(datatype, shape, before, after):
    bits = DataType[datatype].bitwidth()
    return one_layer(
        "WidthConverter_rtl",
        [(datatype, shape)],
        inShape=shape,
        outShape=shape,
        inWidth=bits * before,
        outWidth=bits * after,
        dataType=datatype,
    )


def quantized_average(positions, datatype):
    """Output type and bits cut off, as QONNX's QuantAvgPool2d and FINN's Pool have them."""
    bits = datatype.bitwidth()
    sums = ((2**bits - 1) * positions).bit_length()
    return f"{'INT' if datatype.signed() else 'UINT'}{bits}", max(sums - bits, 0)


def pool(function, channels, pe, kernel, pixels, datatype, output=None, size=0):
    given = DataType[datatype]
    if function == "QuantAvgPool" and output is None:
        output, size = quantized_average(math.prod(kernel), given)
    model = one_layer(
        "Pool_rtl",
        [(datatype, [1, *pixels, math.prod(kernel) * channels])],
        Function=function,
        Channels=channels,
        PE=pe,
        KernelSize=kernel,
        OutImgDims=pixels,
        InputDataType=datatype,
        OutputDataType=output or datatype,
        Size=size,
    )
    getCustomOp(model.graph.node[0]).minimize_accumulator_width(model)
    return model


def global_acc_pool(channels, pe, pixels, datatype):
    return one_layer(
        "GlobalAccPool_rtl",
        [(datatype, [1, *pixels, channels])],
        NumChannels=channels,
        PE=pe,
        inputDataType=datatype,
        numInputVectors=[1, *pixels],
    )


def upsample(channels, simd, pixels, scales, datatype):
    return one_layer(
        "UpsampleNearestNeighbour_rtl",
        [(datatype, [1, *pixels, channels])],
        NumChannels=channels,
        SIMD=simd,
        HI=pixels[0],
        WI=pixels[1],
        HO=pixels[0] * scales[0],
        WO=pixels[1] * scales[1],
        inputDataType=datatype,
    )


def channelwise(op, shape, pe, datatype, constants, **attributes):
    model = one_layer(
        op,
        [(datatype, shape), ("INT32", constants)],
        lhs_dtype=datatype,
        rhs_dtype="INT32",
        out_dtype="INT32",
        lhs_shape=shape,
        rhs_shape=constants.shape,
        out_shape=shape,
        rhs_style="const",
        PE=pe,
        **attributes,
    )
    layer = getCustomOp(model.graph.node[0])
    layer.minimize_weight_bit_width(model)
    layer.minimize_accumulator_width(model)
    return model


def padding(image, channels, pads, simd, datatype="UINT4"):
    graph = HardwareGraph()
    graph.pad(graph.input((*image, channels), datatype), pads, simd)
    return graph.model()


def windows(image, channels, kernel, simd=1, datatype="INT4", **options):
    graph = HardwareGraph()
    graph.windows(graph.input((*image, channels), datatype), kernel, simd=simd, **options)
    return graph.model()
