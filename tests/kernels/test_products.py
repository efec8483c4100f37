"""The matrix-vector and depthwise units in Verilator against FINN's execution, under stalls."""

import numpy as np
import pytest
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors
from hwflow.kernels.lut_mvau.op import LutMVAU_rtl
from hwflow.kernels.vvau.op import VVAU_rtl
from tests.support.bench import Bench
from tests.support.layers import lut_mvau, vvau, xnor_mvau

CASES = 36
# Every kind of number meets every other.
KINDS = ("INT", "UINT", "BIPOLAR", "TERNARY")


def number_type(kind, random):
    return f"{kind}{random.integers(2 if kind == 'INT' else 1, 9)}" if kind[-1] == "T" else kind


def types_of(case, random):
    kinds = KINDS[case % 4], KINDS[case // 4 % 4]
    return [number_type(kind, random) for kind in kinds]


def test_products_without_dsps_equal_those_of_finn(finn, models, tmp_path):
    random = np.random.default_rng(3)
    layers = []
    for case in range(CASES):
        mw, mh = random.integers(1, 20), random.integers(1, 12)
        pe, simd = random.choice(divisors(mh)), random.choice(divisors(mw))
        vectors = [[1], [1, 3], [1, 2, 3]][case % 3]
        types = types_of(case, random)
        layers.append(lut_mvau(mw, mh, pe, simd, types, vectors, random))
    Bench(layers, tmp_path, models).check()


def test_depthwise_products_equal_those_of_finn(finn, models, tmp_path):
    random = np.random.default_rng(4)
    layers = []
    for case in range(CASES):
        channels = random.integers(1, 9)
        kernel = [[3, 3], [1, 4], [2, 3], [1, 1], [5, 1]][case % 5]
        pe, simd = random.choice(divisors(channels)), random.choice(divisors(kernel[0] * kernel[1]))
        resource = ["lut", "dsp"][case % 2]
        size = [random.integers(1, 4), random.integers(1, 4)]
        types = types_of(case, random)
        layers.append(vvau(channels, kernel, pe, simd, types, size, resource, random))
    assert any(getCustomOp(model.graph.node[0]).on_dsps for model in layers)
    Bench(layers, tmp_path, models).check()


def test_binary_products_take_the_pixels_of_images(finn, models, tmp_path):
    random = np.random.default_rng(5)
    layers = [xnor_mvau(mw, 6, 3, mw // 2, 4, random) for mw in (2, 8, 18)]
    for model in layers:
        layer = getCustomOp(model.graph.node[0])
        layer.set_nodeattr("numInputVectors", [1, 2, 2])
        model.set_tensor_shape("in0", layer.get_normal_input_shape())
        model.set_tensor_shape("out0", layer.get_normal_output_shape())
    Bench(layers, tmp_path, models).check()


@pytest.mark.parametrize("op", [LutMVAU_rtl, VVAU_rtl])
def test_hwflows_ops_are_those_that_a_graph_finds(finn, op):
    random = np.random.default_rng(6)
    types = ["INT3", "UINT4"]
    model = (
        lut_mvau(4, 4, 1, 1, types, [1], random)
        if op is LutMVAU_rtl
        else vvau(2, [3, 3], 1, 1, types, [2, 2], "lut", random)
    )
    assert type(getCustomOp(model.graph.node[0])) is op
