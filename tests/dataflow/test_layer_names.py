"""The user's names of layers: they outlive files, converters, FIFOs and renaming."""

import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveUniqueNodeNames

from hwflow.dataflow.folding_file import fold_from_file
from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.errors import RequestError
from hwflow.kernels.layer_names import both_names, layer_name, user_name
from hwflow.rtl.generate import generate
from tests.support.hardware import PYNQ, fold_at_random, lowered
from tests.support.random_networks import LayerSpec, build_case

LAYER = LayerSpec(12, 3, 3, False, False, True, False)


def network(names):
    """A network of three linear layers of these names."""
    case = build_case(24, [LAYER, LAYER], 5, 4, True, True, 2)
    products = [node for node in case.model.graph.node if node.op_type in ("MatMul", "Gemm")]
    for node, name in zip(products, names, strict=True):
        node.name = name
    return lowered(case).model


@pytest.fixture(scope="module")
def model(finn):
    return network(["stem.0", "block.fc", "head"])


def names(model):
    return {node.name: user_name(node) for node in model.graph.node}


def test_what_belongs_to_a_layer_has_its_name_and_the_suffix_of_the_rtl_module(model):
    found = names(model)
    assert found["linear0"] == "stem.0"
    assert found["linear1_thresholds"] == "block.fc_thresholds"
    assert found["linear2"] == "head"
    assert found["label"] == "label"
    node = next(n for n in model.graph.node if n.name == "linear1_thresholds")
    assert layer_name(node) == "block.fc"
    assert both_names(node) == "block.fc_thresholds (linear1_thresholds)"


def test_converters_and_fifos_have_the_name_of_what_they_feed(model, tmp_path):
    folded = ModelWrapper(model.model, make_deepcopy=True)
    fold_at_random(folded, 5)
    whole = insert_fifos(insert_converters(folded))
    found = names(whole)
    assert found["linear1_fifo"] == "block.fc_fifo"
    assert any(name.endswith("_width") for name in found)
    for name, user in found.items():
        if name.startswith("linear0_"):
            assert user == name.replace("linear0", "stem.0")
    whole.save(str(tmp_path / "graph.onnx"))
    again = ModelWrapper(str(tmp_path / "graph.onnx"))
    assert names(again) == found
    renamed = again.transform(GiveUniqueNodeNames())
    assert list(names(renamed).values()) == list(found.values())
    assert "linear0" not in names(renamed)
    design = generate(whole, tmp_path / "rtl", PYNQ.part, 100.0)
    assert {node.name: node.path for node in design.nodes} == found
    assert {node.layer for node in design.nodes} >= {"stem.0", "block.fc", "head", "label"}


def test_two_layers_of_one_name_are_told_apart(finn):
    found = names(network(["fc", "fc", "label"]))
    assert [found[f"linear{n}"] for n in range(3)] == ["fc", "fc_2", "label_2"]
    assert len(set(found.values())) == len(found)


def test_a_name_of_one_layer_that_is_the_rtl_name_of_another_is_the_users(finn, tmp_path):
    model = network(["linear1", "linear2", "linear3"])
    file = tmp_path / "fold.yaml"
    file.write_text("linear1: {pe: 4}\nlinear3: {pe: 5}\n")
    fold_from_file(model, file)
    folded = {n.name: a.i for n in model.graph.node for a in n.attribute if a.name == "PE"}
    assert [folded[f"linear{n}"] for n in range(3)] == [4, 1, 5]
    file.write_text("linear0: {pe: 4}\nlinear1: {pe: 2}\n")
    with pytest.raises(RequestError) as caught:
        fold_from_file(model, file)
    assert "linear1 can mean the RTL modules linear0 and linear1" in str(caught.value)
    assert "fold.yaml:2" in str(caught.value)
