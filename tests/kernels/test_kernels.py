"""hwflow's kernels in Verilator against FINN's execution of their ops, under stalls."""

import numpy as np
import pytest
from finn.custom_op.fpgadataflow.labelselect import LabelSelect
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors
from hwflow.errors import HwflowError
from tests.support.bench import Bench
from tests.support.layers import label_select, xnor_mvau

CASES = 30


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


def test_several_labels_come_in_order(finn, models, tmp_path):
    random = np.random.default_rng(7)
    layers = []
    while len(layers) < CASES:
        labels = random.integers(2, 16)
        datatype = f"{random.choice(['INT', 'UINT'])}{random.integers(1, 5) + 1}"
        pe, k = random.choice(divisors(labels)), random.integers(2, min(labels, 6) + 1)
        layers.append(label_select(labels, pe, datatype, len(layers) % 2, random, k))
    Bench(layers, tmp_path, models).check()


def test_more_labels_than_numbers_are_refused(finn, models, tmp_path):
    model = label_select(4, 2, "INT4", False, None, k=5)
    with pytest.raises(HwflowError, match="layer0: of 4 numbers the 5 greatest"):
        Bench([model], tmp_path, models)


def test_equal_numbers_give_the_lowest_label(finn):
    """The reference of the tests above, which is FINN's own where there is no bias."""
    numbers = np.array([[1, 3, 3, 2]], np.float32)
    for k in (1, 3):
        model = label_select(4, 1, "INT4", False, np.random.default_rng(0), k)
        found = execute_onnx(model, {"in0": numbers})["out0"]
        context = {"in0": numbers, "out0": np.zeros((1, k), np.float32)}
        LabelSelect.execute_node(getCustomOp(model.graph.node[0]), context, model.graph)
        assert found.tolist() == context["out0"].tolist() == [[1, 2, 3][:k]]
