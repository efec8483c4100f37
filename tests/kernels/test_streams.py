"""The kernels that copy, join, add and repack streams, against FINN's execution."""

import numpy as np
import pytest
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors
from hwflow.errors import HwflowError
from hwflow.recipe import Stall
from tests.kernels.bench import STALLS, Bench, one_layer

CASES = 30
# Sources that stall while sinks don't: buffers run empty in place of full.
ALL_STALLS = (*STALLS, Stall(source=80))


def random_type(random):
    kind = random.choice(["INT", "UINT", "BIPOLAR"], p=[0.45, 0.45, 0.1])
    return "BIPOLAR" if kind == "BIPOLAR" else f"{kind}{random.integers(2, 12)}"


def random_vectors(random):
    return [1, *random.integers(1, 5, 2)] if random.integers(2) else [1]


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


def test_duplicate_streams(finn, models, tmp_path):
    random = np.random.default_rng(0)
    layers = []
    for _ in range(CASES):
        channels = random.integers(1, 13)
        pe, copies = random.choice(divisors(channels)), random.integers(1, 5)
        vectors = random_vectors(random)
        layers.append(duplicate_streams(random_type(random), vectors, channels, pe, copies))
    Bench(layers, tmp_path, models).check(stalls=ALL_STALLS)


def test_elementwise_add(finn, models, tmp_path):
    random = np.random.default_rng(1)
    # FINN's rule: one bit more, two if the wider is unsigned and the narrower signed.
    layers = [
        elementwise_add("UINT8", "INT4", [1, 4], 2),
        elementwise_add("BIPOLAR", "BIPOLAR", [1, 4], 4),
        elementwise_add("UINT8", "BIPOLAR", [1, 4], 1),
        # Wider and narrower than the sum needs, as a residual connection's accumulators.
        elementwise_add("INT4", "UINT3", [1, 2, 2, 6], 3, "INT9"),
    ]
    kinds = [getCustomOp(model.graph.node[0]).out_dtype.name for model in layers]
    assert kinds == ["INT10", "INT3", "INT10", "INT9"]
    while len(layers) < CASES:
        channels = random.integers(1, 13)
        shape = [*random_vectors(random), channels]
        types = random_type(random), random_type(random)
        layers.append(elementwise_add(*types, shape, random.choice(divisors(channels))))
    Bench(layers, tmp_path, models).check(stalls=ALL_STALLS)


def test_streaming_concat(finn, models, tmp_path):
    random = np.random.default_rng(2)
    layers = [streaming_concat(["BIPOLAR"] * 2, [1, 2, 2], [4, 4], 2)]
    while len(layers) < CASES:
        streams, simd = random.integers(2, 6), random.integers(1, 4)
        types = [random_type(random) for _ in range(streams)]
        channels = simd * random.integers(1, 5, streams)
        layers.append(streaming_concat(types, random_vectors(random), channels, simd))
    Bench(layers, tmp_path, models).check(stalls=ALL_STALLS)


def test_width_converter_keeps_the_full_rate_at_any_ratio(finn, models, tmp_path):
    random = np.random.default_rng(4)
    # 64 to 36 bits: FINN's takes 24 cycles for 16 beats out.
    layers = [
        width_converter("INT4", [1, 144], 16, 9),
        width_converter("INT4", [1, 144], 9, 16),
        width_converter("UINT2", [1, 3, 3, 8], 8, 8),
    ]
    while len(layers) < CASES + 10:
        size = int(random.choice([12, 24, 30, 36, 60, 70, 144]))
        before, after = random.choice(divisors(size), 2)
        layers.append(width_converter(random_type(random), [1, size], before, after))
    cycles = [getCustomOp(model.graph.node[0]).get_exp_cycles() for model in layers[:2]]
    assert cycles == [16, 16]
    Bench(layers, tmp_path, models).check(stalls=ALL_STALLS)


def test_a_sum_of_unequal_shapes_or_with_a_constant_is_refused(finn, models, tmp_path):
    model = elementwise_add("INT4", "INT4", [1, 4], 1)
    op = getCustomOp(model.graph.node[0])
    op.set_nodeattr("rhs_shape", [1, 1])
    with pytest.raises(HwflowError, match=r"shapes \[1, 4\] and \[1, 1\]"):
        Bench([model], tmp_path, models)
    op.set_nodeattr("rhs_shape", [1, 4])
    op.set_nodeattr("rhs_style", "const")
    with pytest.raises(HwflowError, match="adds a constant"):
        Bench([model], tmp_path, models)
