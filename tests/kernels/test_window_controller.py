"""The controller of sliding windows is FINN's, wherever FINN's is right."""

import math

import numpy as np
import pytest
from finn.custom_op.fpgadataflow.rtl.convolutioninputgenerator_rtl import (
    ConvolutionInputGenerator_rtl as Finns,
)
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors
from tests.support.bench import Bench
from tests.support.layers import windows

CASES = 300


def random_layer(random, parallel):
    """Windows of any kind that FINN takes."""
    while True:
        image, kernel = random.integers(1, 12, 2), random.integers(1, 5, 2)
        stride, dilation = random.integers(1, 6, 2), random.integers(1, 4, 2)
        reach = (kernel - 1) * dilation + 1
        if np.all(reach <= image) and np.all(stride <= image):
            break
    channels = int(random.integers(1, 9))
    model = windows(
        image.tolist(),
        channels,
        kernel.tolist(),
        channels if parallel else int(random.choice(divisors(channels))),
        stride=stride.tolist(),
        dilation=dilation.tolist(),
        depthwise=bool(random.integers(2)),
        parallel=parallel,
    )
    return getCustomOp(model.graph.node[0])


@pytest.mark.parametrize("parallel", [False, True])
def test_constants_are_finns(finn, parallel):
    random, compared = np.random.default_rng(1), 0
    for _ in range(CASES):
        layer = random_layer(random, parallel)
        style = layer.select_impl_style()
        ours = getattr(layer, f"prepare_codegen_{style}")()
        gone = [
            r + (n - 1) * s
            for r, n, s in zip(
                layer.windows.reach, layer.windows.count, layer.windows.stride, strict=True
            )
        ]
        if any(2 * length <= size for length, size in zip(gone, layer.windows.image, strict=True)):
            continue  # What is left is not what FINN takes for it.
        try:
            theirs = getattr(Finns, f"prepare_codegen_{style}")(layer)
        except ValueError:  # The logarithm of 0.
            assert max(layer.windows.count) <= 2
            continue
        compared += 1
        assert ours == theirs
    assert compared > CASES / 2


def test_windows_that_go_into_a_row_twice(finn, models, tmp_path):
    """One window in a row of which more than half is left, and one of several rows."""
    layers = [
        windows((5, 6), 2, (2, 2), simd, stride=(1, 5), depthwise=depthwise)
        for simd in (1, 2)
        for depthwise in (False, True)
    ]
    assert all(math.prod(getCustomOp(model.graph.node[0]).windows.count) == 4 for model in layers)
    Bench(layers, tmp_path, models).check()
