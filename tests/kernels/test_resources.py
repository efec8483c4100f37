"""The kernels' resource estimates against what Yosys makes of them."""

import numpy as np
import pytest

from tests.support.bench import describe
from tests.support.layers import (
    duplicate_streams,
    elementwise_add,
    label_select,
    streaming_concat,
    width_converter,
)
from tests.support.resources import estimated, synthesised

pytestmark = pytest.mark.rtl


def test_estimates_of_the_stream_kernels_are_near_the_netlists(finn, tmp_path):
    layers = [
        duplicate_streams("INT8", [1, 4], 8, 8, 3),
        elementwise_add("INT8", "INT8", [1, 16], 4),
        streaming_concat(["INT4"] * 3, [1, 2, 2], [16, 16, 16], 4),
        width_converter("INT4", [1, 144], 16, 9),
        width_converter("INT4", [1, 144], 9, 16),
    ]
    for model, found in zip(layers, synthesised(layers, tmp_path), strict=True):
        estimate = estimated(model)
        about = f"{describe(model)}: {found}, estimated {estimate}"
        assert abs(found["lut"] - estimate["lut"]) <= max(4, 0.2 * found["lut"]), about
        assert {found["dsp"], found["bram18"], estimate["dsp"], estimate["bram18"]} == {0}, about


def test_estimates_of_several_labels_are_near_the_netlists(finn, tmp_path):
    """Of layers that they were not fitted to."""
    random = np.random.default_rng(0)
    shapes = [(10, 1, 10, True, 4), (12, 2, 9, False, 3), (20, 4, 7, False, 2)]
    layers = [label_select(n, pe, f"INT{bits}", bias, random, k) for n, pe, bits, bias, k in shapes]
    for model, found in zip(layers, synthesised(layers, tmp_path), strict=True):
        estimate = estimated(model)
        about = f"{describe(model)}: {found}, estimated {estimate}"
        assert abs(found["lut"] - estimate["lut"]) <= 0.25 * found["lut"], about
        assert found["dsp"] == found["bram18"] == 0, about
