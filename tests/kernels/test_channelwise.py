"""Channelwise kernels against FINN's execution, under stalls."""

import numpy as np
import pytest
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors
from hwflow.errors import HwflowError
from hwflow.rtl.nodes import generate_node
from tests.support.bench import Bench
from tests.support.hardware import PYNQ
from tests.support.layers import channelwise

CASES = 30
TYPES = ("BIPOLAR", "BINARY", "TERNARY", "UINT2", "INT3", "UINT4", "INT8", "UINT8", "INT12")


def at_random(op, random, **attributes):
    channels = int(random.integers(1, 13))
    shape = [1, *random.integers(1, 4, 2).tolist(), channels]
    greatest = 2 ** int(random.integers(0, 11))
    size = [1] if random.integers(4) == 0 else [channels]
    constants = random.integers(-greatest, greatest + 1, size)
    if random.integers(2):
        constants = constants.reshape(1, 1, 1, -1)
    pe = random.choice(divisors(channels))
    return channelwise(op, shape, pe, str(random.choice(TYPES)), constants, **attributes)


def test_channelwise_addition_equals_finn(finn, models, tmp_path):
    random = np.random.default_rng(1)
    layers = [at_random("ChannelwiseAdd_rtl", random) for _ in range(CASES)]
    Bench(layers, tmp_path, models).check()


def test_channelwise_multiplication_equals_finn(finn, models, tmp_path):
    random = np.random.default_rng(2)
    kinds = ("lut", "dsp", "auto")
    layers = [
        at_random("ChannelwiseMul_rtl", random, resType=kinds[case % 3])
        for case in range(2 * CASES)
    ]
    Bench(layers, tmp_path, models).check()


@pytest.mark.parametrize(
    ("op", "constants", "constant_type", "output"),
    [
        ("ChannelwiseAdd_rtl", [0, 0], "BINARY", "INT4"),
        ("ChannelwiseAdd_rtl", [-1, 0], "INT2", "INT5"),
        ("ChannelwiseAdd_rtl", [8, 9], "UINT4", "UINT5"),
        ("ChannelwiseMul_rtl", [-1, 1], "INT2", "INT5"),
        ("ChannelwiseMul_rtl", [3, 1], "UINT2", "INT6"),
        ("ChannelwiseMul_rtl", [0, -4], "INT3", "INT7"),
    ],
)
def test_types_hold_the_values_and_no_more(finn, op, constants, constant_type, output):
    model = channelwise(op, [1, 2], 1, "INT4", np.array(constants))
    layer = getCustomOp(model.graph.node[0])
    assert layer.get_input_datatype(1).name == constant_type
    assert layer.get_output_datatype().name == output


def test_constants_that_are_none_for_each_channel_are_refused(finn, tmp_path):
    def refused(message, constants, **changes):
        model = channelwise("ChannelwiseAdd_rtl", [1, 2, 2, 4], 2, "INT4", np.arange(4))
        if constants is None:
            del model.graph.initializer[:]
        else:
            model.set_initializer("in1", np.asarray(constants, np.float32))
        for name, value in changes.items():
            getCustomOp(model.graph.node[0]).set_nodeattr(name, value)
        with pytest.raises(HwflowError, match=f"layer: .*{message}"):
            generate_node(model, model.graph.node[0], tmp_path, PYNQ.part, 100)

    refused("not constant", None)
    refused("no integers", [0.5, 1, 2, 3])
    refused("not one for each of 4 channels", np.zeros((1, 2, 2, 1)))
    refused("not one for each of 4 channels", np.zeros((1, 2, 2, 4)))
    refused("-8 to 10 do not fit its output type INT4", [0, 1, 2, 3], out_dtype="INT4")
