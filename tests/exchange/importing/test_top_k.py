"""Files that end with the indices of TopK: how many classes they give, and what is refused."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwflow.errors import RequestError
from hwflow.exchange.importing import execution
from hwflow.exchange.importing.importer import import_model
from hwflow.recipe import ImportedModel
from tests.support.model_files import File, checked, kinds, saved

CLASSES = 12


def ranked(file, x, k, *, outputs=("values", "indices"), **attributes):
    """TopK behind logits; returns the whole model, whose output is the indices."""
    count = file.value(np.asarray([k], np.int64))
    file.nodes.append(helper.make_node("TopK", [x, count], outputs, name="topk", **attributes))
    model = file.model("indices", "N", k)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


def logits(bits=4, scale=0.125):
    file = File("N", 8)
    x = file.quant("input", 0.25, 3.0)
    return file, file.add("MatMul", x, file.weights(8, CLASSES, bits=bits, scale=scale))


@pytest.mark.parametrize("head", [None, "Softmax", "LogSoftmax"])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_classes_come_in_the_order_that_the_file_gives(tmp_path, head, k):
    # Of two bits many logits are equal: the lowest class comes first.
    file, x = logits(bits=2)
    x = x if head is None else file.add(head, x, axis=-1)
    imported = checked(saved(ranked(file, x, k, axis=1 if k == 5 else -1), tmp_path))
    assert (imported.normal.head, imported.normal.top_k) == (head, k)
    assert kinds(imported)[-1] == "MatMul"
    assert imported.classes == CLASSES


def test_arg_max_behind_softmax_is_one_class(tmp_path):
    file, x = logits()
    x = file.add("ArgMax", file.add("Softmax", x, axis=1), axis=1)
    model = file.model(x, "N", 1)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    imported = checked(saved(model, tmp_path))
    assert (imported.normal.head, imported.normal.top_k) == ("Softmax", 1)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"largest": 0}, "TopK of the least numbers"),
        ({"sorted": 0}, "or in no order"),
        ({"axis": 0}, "another axis than the classes"),
        ({"outputs": ("indices", "places")}, "the values of TopK are used"),
    ],
)
def test_what_hardware_does_not_rank_is_refused(tmp_path, attributes, says):
    file, x = logits()
    path = saved(ranked(file, x, 3, **attributes), tmp_path)
    with pytest.raises(RequestError, match=says):
        import_model(path, ImportedModel(qonnx=path.name))


def test_more_classes_than_there_are_are_refused(tmp_path):
    file, x = logits()
    path = saved(ranked(file, x, CLASSES + 1), tmp_path)
    with pytest.raises(RequestError, match="TopK of 13 of 12 classes"):
        import_model(path, ImportedModel(qonnx=path.name))


def test_what_float32_can_not_tell_apart_is_undecided():
    found = np.asarray([[1.0, 1.0 + 1e-8, 0.0], [1.0, 1.1, 0.0], [200.0, 100.0, 99.0]])
    files = np.asarray([[0, 1], [0, 1], [0, 2]])
    ours = np.asarray([[1, 0], [1, 0], [0, 1]])
    assert execution._indistinct(found, files, ours, None).tolist() == [True, False, False]
    assert execution._indistinct(found, files, ours, "Softmax").tolist() == [True, False, True]
