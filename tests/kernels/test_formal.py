"""Every kernel keeps the rule of streams, proven for all inputs and all times.

All proofs are inductions, of unbounded time; none is of a bounded number of cycles only. They
are of small shapes: each kernel's edge cases, and one where all of its counters count.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from qonnx.custom_op.registry import getCustomOp

import hwflow.kernels
from hwflow.kernels import cells, stream_rule
from tests.support import layers
from tests.support.bench import describe, generate_layer
from tests.support.formal import prove
from tests.support.layers import (
    channelwise,
    global_acc_pool,
    label_select,
    pool,
    upsample,
    xnor_mvau,
)

pytestmark = pytest.mark.rtl

SOURCES = Path(hwflow.kernels.__file__).parent


def of_constants(op, channels, pe, datatype, **attributes):
    return channelwise(op, [1, channels], pe, datatype, np.arange(channels) - 3, **attributes)


def lut_mvau(mw, mh, pe, simd, *types):
    return layers.lut_mvau(mw, mh, pe, simd, types, [1], np.random.default_rng(0))


def vvau(channels, kernel, pe, simd, resource, *types):
    random = np.random.default_rng(0)
    return layers.vvau(channels, kernel, pe, simd, types, (2, 2), resource, random)


def labels(number, pe, datatype, bias, k=1):
    return label_select(number, pe, datatype, bias, np.random.default_rng(0), k)


def xnor(mw, mh, pe, simd):
    return xnor_mvau(mw, mh, pe, simd, 1, np.random.default_rng(0))


# Layers by the name of their kernel's source.
LAYERS = {
    "channelwise_add": lambda: [
        of_constants("ChannelwiseAdd_rtl", 1, 1, "UINT2"),
        of_constants("ChannelwiseAdd_rtl", 6, 1, "INT3"),
        of_constants("ChannelwiseAdd_rtl", 6, 2, "BIPOLAR"),
        of_constants("ChannelwiseAdd_rtl", 4, 4, "INT2"),
    ],
    "channelwise_mul": lambda: [
        of_constants("ChannelwiseMul_rtl", 6, 1, "INT3", resType="lut"),
        of_constants("ChannelwiseMul_rtl", 6, 1, "INT3", resType="dsp"),
        of_constants("ChannelwiseMul_rtl", 4, 4, "UINT2", resType="lut"),
        of_constants("ChannelwiseMul_rtl", 2, 1, "BIPOLAR", resType="dsp"),
    ],
    "duplicate_streams": lambda: [
        layers.duplicate_streams("INT3", [1], 2, 1, 1),
        layers.duplicate_streams("INT3", [1], 2, 2, 2),
        layers.duplicate_streams("UINT2", [1], 4, 1, 4),
    ],
    "elementwise_add": lambda: [
        layers.elementwise_add("INT3", "UINT2", [1, 4], 1),
        layers.elementwise_add("INT3", "UINT2", [1, 4], 4),
        layers.elementwise_add("BIPOLAR", "BIPOLAR", [1, 2], 2),
    ],
    "global_acc_pool": lambda: [
        global_acc_pool(1, 1, [1, 1], "UINT2"),
        global_acc_pool(3, 1, [1, 3], "INT2"),
        global_acc_pool(4, 4, [2, 2], "BIPOLAR"),
        global_acc_pool(4, 2, [1, 1], "INT2"),
    ],
    "label_select": lambda: [
        labels(2, 1, "INT2", False),
        labels(6, 2, "UINT3", True),
        labels(4, 4, "INT3", True),
    ],
    "lut_mvau": lambda: [
        lut_mvau(1, 1, 1, 1, "INT2", "UINT2"),
        lut_mvau(4, 3, 1, 2, "INT2", "UINT2"),
        lut_mvau(3, 2, 2, 3, "BIPOLAR", "INT2"),
        lut_mvau(3, 2, 1, 1, "UINT3", "BIPOLAR"),
        lut_mvau(2, 4, 2, 2, "BIPOLAR", "BIPOLAR"),
    ],
    "pool": lambda: [
        pool("MaxPool", 2, 1, [2, 2], [1, 1], "INT2"),
        pool("MaxPool", 2, 2, [1, 3], [1, 1], "BIPOLAR"),
        pool("AccPool", 2, 2, [1, 1], [2, 2], "BIPOLAR"),
        pool("QuantAvgPool", 2, 1, [2, 2], [2, 2], "UINT2"),
    ],
    "streaming_concat": lambda: [
        layers.streaming_concat(["INT2", "INT2"], [1], [2, 2], 2),
        layers.streaming_concat(["INT2", "BIPOLAR", "UINT3"], [1], [2, 1, 3], 1),
        layers.streaming_concat(["BIPOLAR"] * 4, [1], [4, 2, 2, 6], 2),
    ],
    "top_labels": lambda: [
        labels(2, 1, "INT2", False, 2),
        labels(4, 4, "INT2", True, 2),
        labels(6, 2, "INT2", False, 3),
    ],
    "upsample": lambda: [
        upsample(1, 1, [1, 1], [1, 1], "UINT2"),
        upsample(4, 2, [1, 2], [1, 3], "UINT2"),
        upsample(1, 1, [2, 3], [2, 1], "UINT2"),
        upsample(4, 2, [2, 3], [2, 2], "BIPOLAR"),
    ],
    "vvau": lambda: [
        vvau(1, (1, 1), 1, 1, "lut", "INT2", "UINT2"),
        vvau(2, (1, 3), 1, 1, "lut", "INT2", "INT2"),
        vvau(2, (1, 3), 2, 3, "lut", "BIPOLAR", "BIPOLAR"),
        vvau(2, (2, 2), 1, 2, "dsp", "INT2", "UINT2"),
    ],
    "width_converter": lambda: [
        layers.width_converter("INT2", [1, 2], 2, 2),
        layers.width_converter("INT2", [1, 6], 1, 6),
        layers.width_converter("INT2", [1, 6], 6, 1),
        layers.width_converter("INT2", [1, 6], 3, 2),
        layers.width_converter("INT2", [1, 12], 3, 4),
        layers.width_converter("UINT1", [1, 35], 7, 5),
    ],
    "xnor_mvau": lambda: [
        xnor(1, 1, 1, 1),
        xnor(6, 4, 2, 3),
        xnor(6, 4, 4, 2),
        xnor(26, 2, 1, 26),
    ],
}


def generated(model, folder):
    """A layer in a folder, and what proves it."""
    folder.mkdir(parents=True)
    node, outputs = generate_layer(model, folder), len(model.graph.node[0].output)
    return node, lambda: prove(node.module, node.files, folder, outputs=outputs)


def test_every_kernel_and_cell_with_an_output_stream_has_its_proofs():
    with_streams = {
        source.stem
        for source in SOURCES.rglob("*.sv")
        if re.search(r"^\s*output\b.*\bodat\b", source.read_text(), re.MULTILINE)
    }
    assert with_streams == LAYERS.keys() | {"output_register"}


@pytest.mark.parametrize("kernel", LAYERS)
def test_a_kernel_keeps_the_rule_and_one_that_ignores_ready_does_not(finn, tmp_path, kernel):
    for index, model in enumerate(LAYERS[kernel]()):
        layer, about = getCustomOp(model.graph.node[0]), describe(model)
        assert layer.source.stem == kernel, about
        folder = tmp_path / str(index)
        node, proven = generated(model, folder)
        proof = proven()
        assert proof.steps is not None, f"{about}\n{proof.trace}"
        assert not proof.waits, f"{about}: valid or data follow ready within a cycle"
        assert all(proof.can_be_held), about

        module = folder / f"{node.module}.sv"
        deaf, found = re.subn(r"\.ordy\(.*\)$", ".ordy('1)", module.read_text(), flags=re.MULTILINE)
        assert found == 1, module
        module.write_text(deaf)
        proof = proven()
        assert proof.steps is None, about
        assert "out0_V_TREADY" in proof.trace, about


# A kernel, which of its layers, what of its source is changed into what.
FAULTS = {
    "valid is withdrawn from one output when another takes the data": (
        ("duplicate_streams", 1),
        ("Vld <= Vld & ~ordy;", "Vld <= '0;"),
    ),
    "data change when the next window begins": (
        ("pool", 0),
        ("if(step && last)  Out[", "if(step)  Out["),
    ),
    "a copy is read before the one ahead of it is taken": (
        ("upsample", 3),
        ("if(go && !fresh)   Kept", "if(!fresh)   Kept"),
    ),
    "input overwrites an output that is held": (
        ("width_converter", 1),
        ("assign  irdy = !Full || go;", "assign  irdy = 1;"),
    ),
    "labels are counted off untaken": (
        ("top_labels", 2),
        ("else if(ovld && ordy)  Left", "else if(ovld)  Left"),
    ),
    "accumulators don't stand still": (
        ("lut_mvau", 1),
        ("if(go && Vld[LATENCY])  Acc", "if(Vld[LATENCY])  Acc"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_kernel_is_refuted_by_a_trace(finn, tmp_path, fault):
    (kernel, index), change = FAULTS[fault]
    proof = with_change(LAYERS[kernel]()[index], kernel, change, tmp_path)
    assert proof.steps is None
    for signal in ("out0_V_TVALID", "out0_V_TREADY", "out0_V_TDATA"):
        assert len(re.findall(rf"^\s+\d+ \S*{signal} ", proof.trace, re.MULTILINE)) > 1, proof.trace


def test_a_valid_that_waits_for_ready_is_told(finn, tmp_path):
    """The rule holds of it, for it is never held."""
    change = ("assign  ovld = Vld;", "assign  ovld = Vld && ordy;")
    model = LAYERS["elementwise_add"]()[0]
    proof = with_change(model, "output_valid", change, tmp_path)
    assert proof.steps is not None
    assert proof.waits
    assert proof.can_be_held == (False,)


def with_change(model, module, change, folder):
    """The proof of a layer, the source of a module in it changed."""
    node, proven = generated(model, folder / "layer")
    (source,) = (folder / "layer" / file for file in node.files if Path(file).stem == module)
    text = source.read_text()
    assert text.count(change[0]) == 1, change
    source.unlink()
    source.write_text(text.replace(*change))
    return proven()


@pytest.mark.parametrize("width", [1, 4])
def test_the_output_register_loses_and_makes_up_nothing(tmp_path, width):
    proof = prove_cell("output_register", tmp_path, 1, W=width)
    assert proof.steps is not None, proof.trace
    assert (proof.can_be_held, proof.waits) == ((True,), 0)


NUMBERS = [
    {"N": 3, "IN_BITS": 3, "SIGNED": 0, "BIPOLAR": 0, "OUT_BITS": 5},
    {"N": 3, "IN_BITS": 3, "SIGNED": 1, "BIPOLAR": 0, "OUT_BITS": 5},
    {"N": 2, "IN_BITS": 4, "SIGNED": 1, "BIPOLAR": 0, "OUT_BITS": 2},
    {"N": 2, "IN_BITS": 1, "SIGNED": 1, "BIPOLAR": 0, "OUT_BITS": 3},
    {"N": 4, "IN_BITS": 1, "SIGNED": 0, "BIPOLAR": 1, "OUT_BITS": 4},
    {"N": 1, "IN_BITS": 1, "SIGNED": 0, "BIPOLAR": 1, "OUT_BITS": 1},
]


@pytest.mark.parametrize("parameters", NUMBERS)
def test_extended_numbers_are_the_same_numbers(tmp_path, parameters):
    proof = prove_cell("extended_numbers", tmp_path, 0, **parameters)
    assert proof.steps is not None, proof.trace


def test_numbers_of_the_wrong_sign_are_refuted(tmp_path):
    proof = prove_cell("extended_numbers", tmp_path, 0, **NUMBERS[1], READ_SIGNED=0)
    assert proof.steps is None
    assert proof.trace


def prove_cell(cell, folder, outputs, **parameters):
    """The proof of what the cell's specification asserts."""
    spec = Path(__file__).with_name(f"{cell}_spec.sv")
    files = [stream_rule.SOURCE, *cells.SOURCES, spec]
    return prove(spec.stem, files, folder, outputs=outputs, parameters=parameters)
