"""Every kernel synthesises for every family, and netlists with its memories do what they should."""

import numpy as np
import pytest
from qonnx.custom_op.registry import getCustomOp

from hwflow.board import load_board
from hwflow.families import FAMILIES
from hwflow.kernels.fifo.op import StreamingFIFO_rtl
from hwflow.kernels.kernel_op import KernelOp
from tests.support.bench import Bench, describe, one_layer
from tests.support.hardware_graphs import HardwareGraph
from tests.support.layers import (
    channelwise,
    duplicate_streams,
    elementwise_add,
    global_acc_pool,
    label_select,
    lut_mvau,
    padding,
    pool,
    streaming_concat,
    upsample,
    vvau,
    width_converter,
    windows,
    xnor_mvau,
)
from tests.support.resources import estimated, synthesised

pytestmark = pytest.mark.rtl

# A board of each fabric.
BOARDS = ("pynq-z2", "zcu104", "ulx3s-85f")


def linear(inputs, outputs, pe, simd, bits, input_type="INT4"):
    graph = HardwareGraph()
    graph.linear(graph.input((1, 1, inputs), input_type), outputs, bits, pe, simd)
    return graph.model()


def thresholds(channels, bits, pe, datatype):
    graph = HardwareGraph()
    graph.thresholds(graph.input((1, 1, channels), datatype), bits, pe)
    return graph.model()


def fifo(depth, elements, datatype, style="auto"):
    return one_layer(
        StreamingFIFO_rtl.__name__,
        [(datatype, [1, elements])],
        depth=depth,
        folded_shape=[1, 1, elements],
        normal_shape=[1, elements],
        dataType=datatype,
        ram_style=style,
    )


def constants(bits, count):
    random = np.random.default_rng(bits)
    return random.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), count)


def in_lutram():
    """Layers with memories of many depths and widths, read where they are written or elsewhere."""
    random = np.random.default_rng(1)
    return [
        # Weights: more than 256 words, and few bits.
        xnor_mvau(392, 2, 1, 1, 1, random),
        xnor_mvau(300, 2, 2, 2, 1, random),
        lut_mvau(300, 1, 1, 1, ("INT2", "UINT2"), [1, 2], random),
        # A line of an image.
        upsample(2, 1, [2, 20], [2, 2], "UINT4"),
        upsample(1, 1, [2, 300], [2, 1], "UINT2"),
        upsample(1, 1, [2, 600], [2, 1], "UINT1"),
        # Sums and constants of channels.
        global_acc_pool(20, 1, [2, 2], "INT8"),
        global_acc_pool(100, 2, [2, 2], "UINT3"),
        channelwise("ChannelwiseAdd_rtl", [1, 48], 2, "INT6", constants(7, 48)),
        channelwise("ChannelwiseAdd_rtl", [1, 300], 1, "INT3", constants(4, 300)),
    ]


def others():
    """One or several of all other kernels, and of FINN's cores, without block RAM."""
    random = np.random.default_rng(2)
    return [
        duplicate_streams("INT8", [1, 4], 8, 8, 3),
        elementwise_add("INT8", "INT4", [1, 16], 4),
        streaming_concat(["INT4"] * 3, [1, 2, 2], [16, 16, 16], 4),
        width_converter("INT4", [1, 144], 16, 9),
        label_select(10, 1, "INT9", True, random),
        label_select(12, 2, "INT9", False, random, 3),
        vvau(16, (3, 3), 4, 3, ("INT4", "UINT4"), (2, 2), "lut", random),
        vvau(128, (3, 3), 1, 1, ("INT8", "UINT8"), (2, 2), "dsp", random),
        pool("MaxPool", 16, 4, [2, 2], [4, 4], "UINT4"),
        pool("QuantAvgPool", 16, 4, [2, 2], [4, 4], "UINT4"),
        # FINN's.
        linear(64, 8, 1, 1, 4),
        linear(64, 8, 2, 4, 8, "UINT8"),
        linear(392, 2, 1, 1, 2),
        thresholds(64, 2, 1, "INT10"),
        padding((6, 6), 4, (1, 1, 1, 1), 2),
        windows((8, 8), 4, (3, 3), 2),
        windows((8, 8), 4, (3, 3), parallel=True),
        fifo(2, 4, "INT8"),
        fifo(40, 1, "INT3"),
        fifo(600, 1, "INT2"),
    ]


def in_block_ram():
    """Layers whose memories are large."""
    random = np.random.default_rng(3)
    return [
        xnor_mvau(512, 64, 1, 8, 1, random),
        lut_mvau(512, 64, 2, 4, ("INT2", "UINT2"), [1], random),
        global_acc_pool(2048, 2, [2, 2], "INT8"),
        upsample(64, 4, [2, 64], [2, 2], "UINT8"),
        channelwise("ChannelwiseMul_rtl", [1, 48], 2, "INT6", constants(7, 48), resType="lut"),
        channelwise("ChannelwiseMul_rtl", [1, 8], 2, "INT20", constants(20, 8)),
        thresholds(600, 3, 1, "INT10"),
        windows((6, 40), 16, (3, 3), 1),
        fifo(4096, 4, "INT4", "block"),
    ]


def test_each_fabric_has_a_board_here():
    ours = [load_board(name) for name in BOARDS]
    fabrics = {family.name: family.fabric for family in FAMILIES}
    assert {id(fabrics[board.family]) for board in ours} == set(map(id, fabrics.values()))


@pytest.mark.parametrize("name", BOARDS)
def test_every_kernel_synthesises_and_takes_the_memories_that_it_says(finn, tmp_path, name):
    board, layers = load_board(name), [*in_lutram(), *in_block_ram(), *others()]
    wrong = []
    for model, found in zip(layers, synthesised(layers, tmp_path, 2, board), strict=True):
        about = f"{describe(model)}: {found}"
        assert found["lut"] + found["ff"] > 0, about
        if isinstance(getCustomOp(model.graph.node[0]), KernelOp):
            estimate = estimated(model, board)
            blocks = estimate["dsp"] == 0 < found["dsp"]
            if blocks or found["bram18"] != estimate["bram18"]:
                wrong.append(f"{about}, estimated {estimate}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["pynq-z2", "zcu104"])
def test_netlists_with_memories_of_luts_do_what_finn_computes(finn, models, tmp_path, name):
    Bench(in_lutram(), tmp_path, models, load_board(name), netlists=True).check(frames=3)
