"""The kernels that copy, join, add and repack streams, against FINN's execution."""

import numpy as np
import pytest
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors
from hwflow.errors import HwflowError
from hwflow.recipe import Stall
from tests.support.bench import STALLS, Bench
from tests.support.layers import (
    duplicate_streams,
    elementwise_add,
    streaming_concat,
    width_converter,
)

CASES = 30
# Sources that stall while sinks don't: buffers run empty in place of full.
ALL_STALLS = (*STALLS, Stall(source=80))


def random_type(random):
    kind = random.choice(["INT", "UINT", "BIPOLAR"], p=[0.45, 0.45, 0.1])
    return "BIPOLAR" if kind == "BIPOLAR" else f"{kind}{random.integers(2, 12)}"


def random_vectors(random):
    return [1, *random.integers(1, 5, 2)] if random.integers(2) else [1]


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
