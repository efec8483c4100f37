import numpy as np
import pytest
from hypothesis import given, settings
from qonnx.core.onnx_exec import execute_onnx

from hwflow.dataflow.bipolar import WidenBipolar
from hwflow.dataflow.integers import to_integers
from hwflow.dataflow.specialise import SpecialiseToRtl
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Reference
from tests.support.random_networks import LayerSpec, build_case, cases


@settings(max_examples=40)
@given(case=cases())
def test_the_integer_graph_computes_what_the_network_computes(finn, case):
    network = Reference(case.model)
    model, quantizers = to_integers(network, case.code)
    model = model.transform(WidenBipolar()).transform(SpecialiseToRtl())
    codes = case.codes(8)
    trace = network.run(case.inputs(codes))
    for index in range(len(codes)):
        context = execute_onnx(model, {"codes": codes[index : index + 1].astype(np.float32)}, True)
        assert context["label"].item() == trace.logits[index].argmax()
        for name, tensor in quantizers.items():
            assert np.array_equal(context[tensor][0], trace.codes[name][index]), name


def test_an_identity_quantizer_at_the_input_leaves_no_layer(finn):
    layer = LayerSpec(4, 4, 4, False, False, True, False)
    case = build_case(8, [layer], 3, 5, identity=True, bias=False, seed=1)
    model, quantizers = to_integers(Reference(case.model), case.code)
    assert model.graph.node[0].op_type == "MVAU"
    assert next(iter(quantizers.values())) == "codes"


def test_without_a_code_the_accelerator_takes_the_first_quantizers_codes(finn):
    layer = LayerSpec(4, 4, 4, False, False, True, False)
    case = build_case(8, [layer], 3, 5, identity=False, bias=True, seed=1)
    network = Reference(case.model)
    model, quantizers = to_integers(network, None)
    assert model.graph.node[0].op_type == "MVAU"
    model = model.transform(SpecialiseToRtl())
    inputs = np.random.default_rng(0).uniform(-1, 1, (16, 8))
    trace = network.run(inputs)
    first, tensor = next(iter(quantizers.items()))
    assert tensor == "codes"
    for index in range(16):
        codes = trace.codes[first][index : index + 1].astype(np.float32)
        label = execute_onnx(model, {"codes": codes})["label"].item()
        assert label == trace.logits[index].argmax()


def test_a_last_layer_scaled_per_channel_is_refused_with_the_remedy(finn):
    layer = LayerSpec(4, 4, 4, True, False, True, False)
    case = build_case(8, [layer], 3, 5, identity=True, bias=False, seed=1)
    scale = next(n for n in case.model.graph.node if n.output[0] == "logits").input[1]
    quant = next(n for n in case.model.graph.node if n.output[0] == scale)
    parameter = next(p for p in case.model.graph.initializer if p.name == quant.input[1])
    from onnx import numpy_helper

    value = numpy_helper.to_array(parameter) * np.array([[2, 3, 5]], np.float32)
    parameter.CopyFrom(numpy_helper.from_array(value, parameter.name))
    with pytest.raises(HwflowError, match="differs between classes") as error:
        to_integers(Reference(case.model), case.code)
    assert "per tensor" in str(error.value.hint)


def test_an_operation_that_is_not_supported_is_named():
    layer = LayerSpec(4, 4, 4, False, False, True, False)
    case = build_case(8, [layer], 3, 5, identity=True, bias=False, seed=1)
    node = next(n for n in case.model.graph.node if n.op_type == "Relu")
    node.op_type, node.name = "Softmax", "attention"
    with pytest.raises(HwflowError, match="attention: the operation Softmax"):
        Reference(case.model)
