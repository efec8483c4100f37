"""hwflow's kernels in Verilator against FINN's execution of their ops, under stalls."""

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.onnx_exec import execute_onnx

from hwflow.costs import divisors
from tests.kernels.bench import Bench, one_layer

CASES = 30


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


def label_select(labels, pe, datatype, bias, random):
    inputs = [(datatype, [1, labels])]
    if bias:
        inputs.append(("INT8", random.integers(-20, 20, (1, labels))))
    return one_layer(
        "LabelSelect_rtl",
        inputs,
        Labels=labels,
        PE=pe,
        K=1,
        inputDataType=datatype,
        outputDataType=DataType.get_smallest_possible(labels - 1).name,
    )


def test_xnor_popcount_equals_the_product(finn, models, tmp_path):
    random = np.random.default_rng(1)
    layers = [xnor_mvau(1, 1, 1, 1, 1, random), xnor_mvau(35, 6, 2, 35, 1, random)]
    while len(layers) < CASES:
        mw, mh = random.integers(1, 40), random.integers(1, 20)
        pe, simd = random.choice(divisors(mh)), random.choice(divisors(mw))
        layers.append(xnor_mvau(mw, mh, pe, simd, random.integers(1, 4), random))
    Bench(layers, tmp_path, models).check()


def test_label_select_takes_the_lowest_of_the_greatest(finn, models, tmp_path):
    random = np.random.default_rng(2)
    layers = []
    while len(layers) < CASES:
        labels = random.integers(2, 20)
        datatype = f"{random.choice(['INT', 'UINT'])}{random.integers(2, 12)}"
        pe = random.choice(divisors(labels))
        layers.append(label_select(labels, pe, datatype, len(layers) % 2, random))
    Bench(layers, tmp_path, models).check()


def test_equal_numbers_give_the_lowest_label(finn):
    """The reference of the test above."""
    model = label_select(4, 1, "INT4", False, np.random.default_rng(0))
    found = execute_onnx(model, {"in0": np.array([[1, 3, 3, 2]], np.float32)})
    assert found["out0"] == 1
