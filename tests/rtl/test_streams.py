"""Streams of a hardware graph, its weight memories, and what can't be joined."""

import re

import numpy as np
import pytest
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.errors import HwflowError
from hwflow.kernels.mvau.memory import write_weights
from hwflow.rtl.generate import generate
from hwflow.rtl.streams import streams_of
from tests.support.hardware import PYNQ
from tests.support.hardware_graphs import HardwareGraph


def fork():
    """Copies of which one is summed with a product of the other."""
    graph = HardwareGraph()
    first, second = graph.copies(graph.input((2, 3, 4), "INT3"))
    graph.add(graph.linear(first, 4, simd=2, name="product"), second, 2, "sum")
    return graph.model()


def test_every_edge_gets_the_converter_and_the_fifo_it_is_told(finn):
    model = insert_fifos(insert_converters(fork()), {"sum_in1": 9, "product_width": 5, "sum": 7})
    names = [node.name for node in model.graph.node]
    # Whatever feeds a node comes before it.
    assert names == [
        "DuplicateStreams_0",
        "product_width_fifo",
        "product_width",
        "product",
        "sum_in0_width",
        "sum_in1_width",
        "sum_in1_fifo",
        "sum",
    ]
    depths = {
        n.name: getCustomOp(n).get_nodeattr("depth") for n in model.graph.node if "fifo" in n.name
    }
    assert depths == {"product_width_fifo": 5, "sum_in1_fifo": 9}


def test_streams_name_both_ends_and_their_ports(finn):
    streams = streams_of(insert_converters(fork()))
    ends = [(s.producer, s.out, s.consumer, s.into) for s in streams]
    assert ends[0] == ("s_axis", 0, "DuplicateStreams_0", 0)
    assert ends[-1] == ("sum", 0, "m_axis", 0)
    assert ("DuplicateStreams_0", 1, "sum_in1_width", 0) in ends
    assert ("sum_in1_width", 0, "sum", 1) in ends
    assert ("sum_in0_width", 0, "sum", 0) in ends
    by_consumer = {(s.consumer, s.into): s for s in streams}
    assert by_consumer["sum", 1].beats == 2 * 3 * 4 // 2
    assert by_consumer["sum", 1].signed
    assert by_consumer["sum", 1].element_bits == 3


def test_a_tensor_of_two_readers_is_refused(finn):
    model = fork()
    model.graph.node[2].input[1] = model.graph.node[1].input[0]
    with pytest.raises(HwflowError, match="goes to 2 layers") as caught:
        streams_of(model)
    assert "DuplicateStreams" in caught.value.hint


def test_layers_that_see_a_stream_differently_are_refused(finn):
    graph = HardwareGraph()
    graph.linear(
        graph.pad(graph.input((2, 2, 4), "INT3"), (1, 1, 1, 1), name="pad"), 4, name="product"
    )
    model = graph.model()
    getCustomOp(model.graph.node[1]).set_nodeattr("inputDataType", DataType["UINT3"].name)
    with pytest.raises(
        HwflowError, match="pad puts out 64 beats of 1 signed 3-bit numbers, product"
    ):
        streams_of(model)


def test_windows_of_a_depthwise_layer_are_not_converted(finn):
    graph = HardwareGraph()
    x = graph.windows(
        graph.input((4, 4, 4), "INT3"), (2, 2), simd=2, depthwise=True, name="windows"
    )
    graph.pool(x, "MaxPool", (2, 2), 4)
    with pytest.raises(HwflowError, match="windows puts out 2 numbers at a time") as caught:
        insert_converters(graph.model())
    assert "PE" in caught.value.hint


def test_a_layer_that_finn_refuses_is_an_error(finn, tmp_path):
    graph = HardwareGraph()
    graph.windows(graph.input((2, 2, 2), "INT3"), (1, 1), stride=(3, 3), name="windows")
    with pytest.raises(HwflowError, match=r"FINN has no .* for windows: ") as caught:
        generate(graph.model(), tmp_path, PYNQ.part, 100)
    assert "folding" in caught.value.hint


@pytest.mark.parametrize(("pe", "simd", "bits"), [(1, 1, 2), (2, 3, 3), (4, 6, 8), (1, 6, 5)])
def test_weight_memories_are_finns_own(finn, tmp_path, pe, simd, bits):
    graph = HardwareGraph(seed=bits)
    graph.linear(graph.input((1, 1, 12), "INT4"), 8, bits, pe, simd)
    model = graph.model()
    weights = model.get_initializer(model.graph.node[0].input[1])
    layer = getCustomOp(model.graph.node[0])
    layer.make_weight_file(weights, "decoupled_verilog_dat", str(tmp_path / "finn"))
    write_weights(tmp_path / "ours", weights, pe, simd, bits)
    assert (tmp_path / "ours").read_text() == (tmp_path / "finn").read_text()
    assert re.fullmatch(r"([0-9a-f]+\n)+", (tmp_path / "ours").read_text())
    assert np.abs(weights).max() > 0
