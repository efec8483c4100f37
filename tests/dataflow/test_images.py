"""Networks of images in hardware: the emulator says what the software says, bit by bit, and FINN's
own execution of the layers says what the emulator says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from onnx import numpy_helper
from onnx.helper import make_attribute
from qonnx.core.datatype import DataType
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.bipolar import WidenBipolar
from hwflow.dataflow.branches import DuplicateBranches
from hwflow.dataflow.folding import fold_for_cycles, layer_cycles
from hwflow.dataflow.graph import HardwareGraph
from hwflow.dataflow.integers import to_integers
from hwflow.dataflow.layers import global_sum
from hwflow.emulate import Emulator
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Reference
from hwflow.host.input_codes import hardware_order
from tests.support.hardware import lowered
from tests.support.random_images import KINDS, Block, Description, build, image_cases


def compare(case, model, quantizers, frames=6):
    """The emulator against the reference, in every quantizer and the class."""
    codes = case.codes(frames)
    trace = Reference(case.model).run(case.inputs(codes))
    emulator = Emulator(model)
    taken = hardware_order(codes, model.get_tensor_shape(emulator.input))
    layers = emulator.run_layers(taken) | {emulator.input: taken}
    for name, tensor in quantizers.items():
        wanted = hardware_order(trace.codes[name], model.get_tensor_shape(tensor))
        assert np.array_equal(layers[tensor], wanted), (name, tensor)
    assert np.array_equal(layers["label"][:, 0], trace.logits.argmax(1))
    return taken, layers


@pytest.mark.slow
@settings(max_examples=40)
@given(case=image_cases())
def test_random_networks_compute_what_the_software_computes(finn, case):
    hardware = lowered(case)
    compare(case, hardware.model, hardware.quantizers)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 9, 7), (2, 19)])
def test_every_kind_of_block(finn, kind, shape):
    for bits in (1, 3):
        block = Block(kind, 4, (3, 2), (2, 1), (1, 2), (1, 0, 1, 1), bits, bits, signed=bits == 1)
        blocks = (Block("conv", 4, activation_bits=bits), block)
        case = build(Description(shape, blocks, "global", seed=5))
        hardware = lowered(case)
        compare(case, hardware.model, hardware.quantizers)


@pytest.mark.parametrize("kind", KINDS)
def test_finns_own_execution_is_the_emulators(finn, kind):
    block = Block(kind, 4, (2, 3), (1, 2), (1, 1), (0, 1, 1, 0), 3, 4, True)
    blocks = (Block("conv", 4, pads=(1, 1, 1, 1)), block)
    case = build(Description((3, 7, 8), blocks, "flatten", 6, seed=3))
    model, quantizers = to_integers(Reference(case.model), case.code)
    model = model.transform(WidenBipolar()).transform(DuplicateBranches())
    taken, layers = compare(case, model, quantizers, 2)
    layers = Emulator(model).run_layers(taken)
    del layers["label"]  # FINN's layer knows no biases.
    shape = model.get_tensor_shape("codes")
    for index in range(2):
        inputs = {"codes": taken[index].reshape(shape).astype(np.float32)}
        context = execute_onnx(model, inputs, True)
        for tensor, values in layers.items():
            assert np.array_equal(values[index], context[tensor].reshape(-1)), tensor


def chain(*blocks, shape=(3, 8, 8), **options):
    return build(Description(shape, blocks, **options))


@pytest.mark.parametrize("cycles", [10**9, 20_000, 3_000, 900])
def test_every_layer_meets_the_bound_and_streams_fit_each_other(finn, cycles):
    blocks = (
        Block("conv", 8, pads=(1, 1, 1, 1)),
        Block("depthwise", pads=(1, 1, 1, 1)),
        Block("identity_block"),
        Block("max_pool", kernel=(2, 2), stride=(2, 2)),
        Block("branches", 4),
    )
    model = lowered(chain(*blocks, shape=(4, 16, 16), head="global")).model
    fold_for_cycles(model, cycles)
    assert max(layer_cycles(model).values()) <= cycles
    for node in model.graph.node:
        layer = getCustomOp(node)
        if node.op_type != "ConvolutionInputGenerator_rtl":
            continue
        (reader,) = model.find_consumers(node.output[0])
        if layer.get_nodeattr("depthwise"):
            assert (
                layer.get_folded_output_shape()[-1]
                == (getCustomOp(reader).get_folded_input_shape()[-1])
            )
        assert layer.get_nodeattr("IFMChannels") % layer.get_nodeattr("SIMD") == 0


def test_a_bound_that_no_folding_of_windows_reaches_is_refused(finn):
    model = lowered(chain(Block("conv", 8), shape=(4, 16, 16))).model
    with pytest.raises(HwflowError, match="can't reach 100 cycles a frame"):
        fold_for_cycles(model, 100)


def test_layers_have_the_names_of_what_they_are(finn):
    blocks = (
        Block("conv", 4, pads=(1, 1, 1, 1)),
        Block("identity_block"),
        Block("max_pool", kernel=(2, 2), stride=(2, 2)),
    )
    model = lowered(chain(*blocks, head="global", hidden=6)).model
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert [n for n in names if "_" not in n] == [
        "conv0",
        "conv1",
        "add0",
        "pool0",
        "pool1",
        "linear0",
        "linear1",
        "label",
    ]
    assert {"conv0_padding", "conv0_windows", "conv0_thresholds", "conv0_copies"} <= set(names)
    assert {"add0_thresholds", "pool0_windows", "pool1_thresholds"} <= set(names)


def test_a_network_that_flattens_its_input_takes_it_as_it_is(finn):
    case = chain(shape=(3, 4, 5))
    hardware = lowered(case)
    assert hardware.model.get_tensor_shape("codes") == [1, 60]
    codes = case.codes(3)
    assert np.array_equal(hardware_order(codes, [1, 60]), codes.reshape(3, 60))


def test_padding_of_binary_activations_has_a_zero(finn):
    first = Block("conv", 4, weight_bits=1, activation_bits=1, signed=True)
    case = chain(first, Block("conv", 4, pads=(1, 1, 1, 1), weight_bits=1, activation_bits=1))
    hardware = lowered(case)
    padding = next(n for n in hardware.model.graph.node if n.op_type == "FMPadding_rtl")
    assert hardware.model.get_tensor_datatype(padding.input[0]).name == "INT2"
    compare(case, hardware.model, hardware.quantizers)


def change(case, operation, **attributes):
    """The last node of an operation, its attributes changed."""
    node = [n for n in case.model.graph.node if n.op_type == operation][-1]
    kept = [a for a in node.attribute if a.name not in attributes]
    del node.attribute[:]
    node.attribute.extend([*kept, *(make_attribute(k, v) for k, v in attributes.items())])
    return node


def test_what_can_not_be_lowered_is_named_with_the_remedy(finn):
    case = chain(Block("identity_block"), shape=(4, 6, 6))
    add = change(case, "Add")
    shared = next(n for n in case.model.graph.node if n.output[0] == add.input[0])
    other = next(n for n in case.model.graph.node if n.output[0] == add.input[1])
    add.input[1] = other.input[0]  # One branch is in another scale.
    with pytest.raises(HwflowError, match=f"{add.name}: adds values that are not quantized") as e:
        lowered(case)
    assert "one and the same QuantIdentity" in e.value.hint
    assert shared.op_type == "Quant"

    case = chain(Block("conv", 4), shape=(4, 6, 6))
    node = change(case, "Conv", group=2)
    weights = next(n for n in case.model.graph.node if n.output[0] == node.input[1])
    stored = next(t for t in case.model.graph.initializer if t.name == weights.input[0])
    halved = numpy_helper.to_array(stored)[:, :2].copy()
    stored.CopyFrom(numpy_helper.from_array(halved, stored.name))
    with pytest.raises(HwflowError, match=f"{node.name}: a convolution of 2 groups from 4"):
        lowered(case)

    case = chain(Block("average_pool", activation_bits=8), shape=(4, 6, 6))
    node = change(case, "Quant")
    average = next(n for n in case.model.graph.node if n.op_type == "AveragePool")
    average.input[0] = "input"
    with pytest.raises(HwflowError, match=f"{average.name}: an average of values that are not"):
        lowered(case)


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_the_least_weight_is_not_negated(finn, kind):
    """-128 has no opposite of 8 bits: the channels of a falling batch norm are negated behind."""
    first = Block("pointwise", 4, weight_bits=3)
    for seed in range(8):
        block = Block(kind, 4, (2, 2), weight_bits=8, signed=True)
        case = chain(first, block, shape=(2, 5, 4), seed=seed)
        model, quantizers = to_integers(Reference(case.model), case.code)
        compare(case, model, quantizers)
        for node in model.graph.node:
            if node.op_type in {"MVAU", "VVAU"}:
                assert model.get_tensor_datatype(node.input[1]).bitwidth() <= 8
        if any(node.name.startswith("signs") for node in model.graph.node):
            return
    pytest.fail("no seed has a channel with -128 and a negative factor")


@pytest.mark.parametrize(("kernel", "stride"), [((1, 2), (4, 1)), ((2, 1), (1, 3))])
def test_a_single_window_of_half_of_an_image_is_refused(finn, kernel, stride):
    case = chain(Block("max_pool", kernel=kernel, stride=(1, 1)), shape=(1, 4, 3))
    node = change(case, "MaxPool", strides=stride)
    with pytest.raises(HwflowError, match=f"{node.name}: a single window that sees 1 of"):
        to_integers(Reference(case.model), case.code)


@pytest.mark.parametrize("kind", ["BIPOLAR", "TERNARY", "INT2", "UINT2"])
def test_a_sum_over_an_image_has_a_type_that_holds_both_ends(finn, kind):
    graph = HardwareGraph()
    pixels = graph.start((1, 4, 4, 2), DataType[kind])
    sums = graph.types[global_sum(graph, pixels, name="sum")]
    assert sums.allowed(16 * DataType[kind].min())
    assert sums.allowed(16 * DataType[kind].max())
