"""Attributes of a file's nodes: taken exactly, or refused by name; none is left out."""

import numpy as np
import pytest
import torch
from onnx import helper
from torch.nn import functional as F  # noqa: N812

from hwflow.errors import HwflowError, RequestError
from hwflow.exchange.importing import import_model, normalised
from hwflow.exchange.operations import OPERATIONS, operation_of
from hwflow.exchange.operations.windows import beyond
from hwflow.exchange.reference import Reference
from hwflow.exchange.translation.nodes import read_node
from hwflow.recipe import ImportedModel
from tests.support.model_files import File, checked, saved


def between(kind, *operands, opset=13, **attributes):
    """A file with an operation between two quantized layers of images (1, 3, 9, 8)."""
    file = File(1, 3, 9, 8)
    x = file.quant("input", 0.125, 4.0)
    x = file.quant(file.add("Conv", x, file.weights(4, 3, 1, 1)), 0.25, 4.0)
    weights = (file.weights(4, 4, 3, 2, seed=2),) if kind == "Conv" else ()
    x = file.add(kind, x, *weights, *operands, **attributes)
    x = file.add("Conv", file.quant(x, 0.25, 4.0), file.weights(4, 4, 1, 1, seed=3))
    x = file.add("GlobalAveragePool", x)
    return file.model(x, 1, 4, 1, 1, opset=opset)


def attributes_of(normal, kind):
    """Those of a node, the second convolution or the only one of its kind."""
    nodes = [node for node in normal.model.graph.node if node.op_type == kind]
    node = nodes[1] if len(nodes) == 3 else nodes[-1]
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def refused(model, folder):
    path = saved(model, folder)
    with pytest.raises(RequestError) as raised:
        import_model(path, ImportedModel(qonnx=path.name))
    return f"{raised.value.message} / {raised.value.hint}"


# --------------------------------------------------------------------------------- taken exactly


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Conv", {"strides": [2, 3]}),
        ("MaxPool", {"kernel_shape": [3, 2], "strides": [2, 2]}),
        ("AveragePool", {"kernel_shape": [2, 2], "count_include_pad": 1}),
    ],
)
def test_automatic_padding_is_written_out(tmp_path, kind, more, upper):
    auto = "SAME_UPPER" if upper else "SAME_LOWER"
    normal = checked(saved(between(kind, auto_pad=auto, **more), tmp_path)).normal
    found = attributes_of(normal, kind)
    assert "auto_pad" not in found
    assert any(found["pads"])


@pytest.mark.parametrize(
    ("kernel", "strides", "pads", "wanted"),
    [
        ([2, 2], [2, 2], [0, 0, 0, 0], [0, 0, 1, 0]),
        ([3, 3], [2, 2], [1, 1, 1, 1], [1, 1, 1, 2]),
    ],
)
def test_a_max_pool_that_rounds_up_is_padded_behind(tmp_path, kernel, strides, pads, wanted):
    pool = {"kernel_shape": kernel, "strides": strides, "pads": pads, "ceil_mode": 1}
    normal = checked(saved(between("MaxPool", **pool), tmp_path)).normal
    assert attributes_of(normal, "MaxPool")["pads"] == wanted


@pytest.mark.parametrize("size", range(4, 12))
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_windows_behind_the_image_are_those_of_torch(size, kernel):
    for step in (1, 2, 3, 4):
        for pad in range(kernel // 2 + 1):
            extra = beyond([size], [kernel], [step], [pad, pad])[0]
            wanted = F.max_pool1d(torch.zeros(1, 1, size), kernel, step, pad, ceil_mode=True)
            assert (size + 2 * pad + extra - kernel) // step + 1 == wanted.shape[2]


def test_rounding_up_is_nothing_where_windows_fit(tmp_path):
    pool = {"kernel_shape": [3, 2], "strides": [3, 2], "ceil_mode": 1}
    normal = checked(saved(between("AveragePool", **pool), tmp_path)).normal
    assert "ceil_mode" not in attributes_of(normal, "AveragePool")


def test_an_attribute_with_its_default_is_none(tmp_path):
    file = File(1, 8)
    x = file.add("MatMul", file.quant("input", 0.125, 4.0), file.weights(8, 4))
    x = file.add("ArgMax", x, axis=1, select_last_index=0)
    model = file.model(x, 1, 1)
    model.graph.output[0].type.tensor_type.elem_type = 7
    assert import_model(saved(model, tmp_path), ImportedModel(qonnx="x")).normal.top_k == 1
    model.graph.node[-1].attribute[-1].i = 1
    assert "ArgMax3: the attribute select_last_index=1 of ArgMax" in refused(model, tmp_path)


def test_pads_that_constant_reshapes_make_fit_any_batch(tmp_path):
    """A shape that constants are given is none of frames."""
    file = File(1, 2, 4, 4)
    x = file.quant("input", 0.125, 4.0)
    # As TorchScript writes them: from the last axis on, a row each.
    rows = file.add("Reshape", np.asarray([0, 1, 0, 1, 0, 0, 0, 0]), np.asarray([-1, 2]))
    last, before, axis, step = (np.asarray([n]) for n in (-1, -9, 0, -1))
    rows = file.add("Transpose", file.add("Slice", rows, last, before, axis, step), perm=[1, 0])
    pads = file.add("Reshape", rows, np.asarray([-1]))
    x = file.add("Conv", file.add("Pad", x, pads), file.weights(4, 2, 3, 3))
    x = file.add("Reshape", file.add("GlobalAveragePool", x), np.asarray([1, 4]))
    imported = checked(saved(file.model(x, 1, 4), tmp_path))
    assert attributes_of(imported.normal, "Conv")["pads"] == [0, 0, 1, 1]


def test_a_softmax_along_another_axis_is_not_cut_off(tmp_path):
    file = File(1, 8)
    x = file.add("MatMul", file.quant("input", 0.125, 4.0), file.weights(8, 4))
    normal = checked(saved(file.model(file.add("Softmax", x, axis=0), 1, 4), tmp_path)).normal
    assert normal.head is None
    assert attributes_of(normal, "Softmax") == {"axis": 0}


# -------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "kind",
    sorted(
        name
        for operation in OPERATIONS
        if operation.translate and not operation.domain
        for name in operation.types
    ),
)
def test_no_operation_leaves_out_what_it_does_not_know(kind):
    proto = helper.make_node(kind, ["x"], ["y"], name="it", gain=2.5)
    with pytest.raises(RequestError, match=rf"it: the attribute gain=2\.5 of {kind} is not"):
        operation_of(proto).check(read_node(proto), 13)


@pytest.mark.parametrize(
    ("kind", "attributes", "says"),
    [
        ("Conv", {"auto_pad": "SAME_SOMEHOW"}, "Conv5: auto_pad=SAME_SOMEHOW is not known"),
        (
            "Conv",
            {"kernel_shape": [3, 3]},
            "Conv5: its kernel_shape is [3, 3]",
        ),
        ("Relu", {"threshold": 0.5}, "Relu4: the attribute threshold=0.5 of Relu is not supported"),
        (
            "MaxPool",
            {"kernel_shape": [2, 2], "dilations": [2, 2]},
            "MaxPool4: a pool with dilation",
        ),
        (
            "AveragePool",
            {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"},
            "AveragePool4: an average pool that leaves its padding out",
        ),
        ("Flatten", {"axis": 2}, "Flatten4: Flatten of other axes"),
    ],
)
def test_what_can_not_be_taken_exactly_is_named(tmp_path, kind, attributes, says):
    assert says in refused(between(kind, **attributes), tmp_path)


def test_a_dropout_in_training_is_refused(tmp_path):
    operands = np.float32(0.5), np.asarray(True)
    assert "Dropout4: the dropout is in training mode" in refused(
        between("Dropout", *operands), tmp_path
    )
    checked(saved(between("Dropout", np.float32(0.5), np.asarray(False)), tmp_path))


def test_an_argmax_along_another_axis_is_refused(tmp_path):
    file = File(1, 8)
    x = file.add("MatMul", file.quant("input", 0.125, 4.0), file.weights(8, 4))
    model = file.model(file.add("ArgMax", x), 1, 4)  # By default along the frames.
    model.graph.output[0].type.tensor_type.elem_type = 7
    assert "ArgMax3: ArgMax along another axis than the classes" in refused(model, tmp_path)


def test_the_reference_takes_the_normal_form_only():
    model = between("Conv", auto_pad="SAME_UPPER")
    with pytest.raises(HwflowError, match="Conv5: Conv with auto_pad=SAME_UPPER is not in normal"):
        Reference(model)
    Reference(normalised(model).model)
