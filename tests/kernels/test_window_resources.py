"""Resource estimates of pools, upsampling and channelwise layers, against Yosys' netlists."""

import functools

import numpy as np
import pytest
from qonnx.custom_op.registry import getCustomOp

from hwflow.processes import in_parallel
from hwflow.rtl.generate import generate
from hwflow.synth import synthesize
from tests.support.hardware import PYNQ
from tests.support.layers import channelwise, global_acc_pool, pool, upsample

pytestmark = pytest.mark.rtl

# How far LUTs may be off.
TOLERANCE = 0.2


def constants(bits):
    """As many as 32 channels have, over the whole range."""
    greatest = 2 ** (bits - 1)
    random = np.random.default_rng(bits)
    return np.r_[-greatest, random.integers(-greatest, greatest, 31)]


def layers():
    """Layers that the estimates were not fitted to, and the DSP blocks and RAMB18 they take."""
    multiply = functools.partial(channelwise, "ChannelwiseMul_rtl", [1, 32], 4)
    return [
        (pool("MaxPool", 16, 8, [2, 2], [4, 4], "UINT5"), 0, 0),
        (global_acc_pool(96, 4, [4, 4], "UINT4"), 0, 0),
        (global_acc_pool(2048, 2, [4, 4], "INT8"), 0, 2),
        (upsample(16, 4, [4, 8], [2, 2], "UINT8"), 0, 0),
        (channelwise("ChannelwiseAdd_rtl", [1, 32], 4, "INT8", constants(8)), 0, 0),
        (multiply("UINT6", constants(8), resType="lut"), 0, 0),
        (multiply("INT20", constants(20)), 8, 0),
    ]


def test_estimates_are_near_what_yosys_makes(finn, tmp_path):
    cases = layers()

    def synthesised(index):
        folder = tmp_path / str(index)
        generate(cases[index][0], folder, PYNQ.part, 100)
        return synthesize(folder, PYNQ, tmp_path / "cache", logs=folder, jobs=1)["layer"]

    jobs = [functools.partial(synthesised, index) for index in range(len(cases))]
    for (model, dsp, bram18), found in zip(cases, in_parallel(jobs, 2), strict=True):
        layer = getCustomOp(model.graph.node[0])
        name = model.graph.node[0].op_type
        assert (name, found["dsp"], found["bram18"]) == (name, dsp, bram18)
        assert layer.dsp_estimation(PYNQ.part) == dsp, name
        assert layer.bram_estimation(PYNQ.part) == bram18, name
        lut = layer.lut_estimation(PYNQ.part)
        assert lut == pytest.approx(found["lut"], rel=TOLERANCE), name
