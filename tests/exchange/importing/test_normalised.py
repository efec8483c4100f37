"""hwflow's own exports in normal form: the same hardware, and the same names."""

import brevitas.nn as qnn
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from hwflow.dataflow.integers import InputCode
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.exchange.importing import normalised
from hwflow.host import divide

CODE = InputCode(1 / 255, 0.0, 0, 255)


def activation(bits=4):
    return qnn.QuantReLU(bit_width=bits, return_quant_tensor=True)


def start():
    return qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)


def dense():
    return nn.Sequential(
        *(start(), nn.Flatten(), qnn.QuantLinear(64, 12, bias=True, weight_bit_width=3)),
        *(nn.BatchNorm1d(12), activation(3), qnn.QuantLinear(12, 5, bias=False)),
    )


def images(padding=1, ceil_mode=False):
    return nn.Sequential(
        *(start(), qnn.QuantConv2d(1, 4, 3, padding=padding, bias=False, weight_bit_width=4)),
        *(nn.BatchNorm2d(4), activation(), nn.MaxPool2d(3, ceil_mode=ceil_mode)),
        *(qnn.QuantConv2d(4, 4, 2, groups=4, bias=False), activation(), nn.Flatten()),
        qnn.QuantLinear(16 if ceil_mode else 4, 5, bias=False, weight_bit_width=4),
    )


def exported(network, folder):
    torch.manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, -1, 2)
            nn.init.normal_(module.running_mean)
    files = export(network.eval(), (1, 8, 8), folder)
    inputs = torch.randint(0, 256, (32, 1, 8, 8)).numpy().astype("float32") / 255
    assert check_agreement(network, files, inputs).reference_max_abs is not None
    return onnx.load(str(files.qonnx))


def content(model):
    """All of a graph but the order of what has none."""
    values = {t.name: numpy_helper.to_array(t).tolist() for t in model.graph.initializer}
    types = {name: str(model.get_tensor_datatype(name)) for name in model.get_all_tensor_names()}
    return [node.SerializeToString() for node in model.graph.node], values, types


@pytest.mark.parametrize("make", [dense, images], ids=lambda make: make.__name__)
def test_hardware_is_the_same_as_of_the_file_itself(finn, tmp_path, make):
    model = exported(make(), tmp_path)
    before = model.SerializeToString()
    normal = normalised(model)
    assert model.SerializeToString() == before
    direct, through = divide(model, CODE), divide(normal.model, CODE)
    assert content(direct.graph) == content(through.graph)
    assert direct.quantizers == through.quantizers
    assert direct.facts() == through.facts()


def test_padding_that_is_not_in_numbers_is_that_which_is(finn, tmp_path):
    """The very hardware of the network that says its padding in numbers."""
    made = []
    for padding in (1, "same"):
        model = exported(images(padding), tmp_path)
        made.append(divide(normalised(model).model, CODE).graph)
    assert [node.op_type for node in made[0].graph.node].count("FMPadding") > 0
    assert content(made[0])[1:] == content(made[1])[1:]


def test_a_pool_that_rounds_up_sees_the_whole_image(finn, tmp_path):
    """8 x 8 pixels become 3 x 3, not 2 x 2."""
    model = exported(images(ceil_mode=True), tmp_path)
    graph = divide(normalised(model).model, CODE).graph
    pool = next(node for node in graph.graph.node if node.op_type == "Pool")
    assert graph.get_tensor_shape(pool.output[0]) == [1, 3, 3, 4]


def test_names_of_nodes_and_what_they_say_of_themselves_stay(tmp_path):
    model = exported(images(), tmp_path)
    for node in model.graph.node:
        node.metadata_props.add(key="layer", value=node.name)
    normal = normalised(model).model
    named = {node.name: node for node in normal.graph.node}
    for node in model.graph.node:
        if node.op_type in ("Conv", "MaxPool", "BatchNormalization", "MatMul", "Relu"):
            assert named[node.name].op_type == node.op_type
            assert named[node.name].output[0] == node.output[0]
            assert [entry.value for entry in named[node.name].metadata_props] == [node.name]
