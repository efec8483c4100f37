"""Types of weights and sums that FINN's MVU computes rightly with."""

import numpy as np
import pytest
from onnx import numpy_helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.emulate import Emulator
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator
from tests.support.hardware import PYNQ, lowered
from tests.support.random_networks import LayerSpec, build_case

LAYER = LayerSpec(2, 4, 4, False, True, False, False)


def with_weights(values):
    """A network whose first layer has these weights, in steps of its scale."""
    case = build_case(2, [LAYER], 2, 3, identity=True, bias=True, seed=1)
    quant = next(
        node
        for node in case.model.graph.node
        if node.op_type == "Quant" and len(_array(case, node.input[0]).shape) == 2
    )
    scale = float(_array(case, quant.input[1]).reshape(-1)[0])
    shape = _array(case, quant.input[0]).shape
    numbers = (np.resize(values, shape) * scale).astype(np.float32)
    for tensor in case.model.graph.initializer:
        if tensor.name == quant.input[0]:
            tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))
    return case


def _array(case, name):
    found = [t for t in case.model.graph.initializer if t.name == name]
    return numpy_helper.to_array(found[0]) if found else np.zeros(())


@pytest.mark.parametrize(
    ("weights", "bits"),
    [([0], 2), ([0, -1], 2), ([1], 2), ([3, 1], 3), ([-4, 3], 3), ([4, 0], 4), ([-1, 1], 2)],
)
def test_the_rtl_is_right_for_weights_that_need_few_bits(finn, models, tmp_path, weights, bits):
    case = with_weights(weights)
    model = insert_fifos(insert_converters(lowered(case).model))
    layer = getCustomOp(model.get_nodes_by_op_type("MVAU_rtl")[0])
    assert layer.get_nodeattr("weightDataType") == f"INT{bits}"
    sums = DataType[layer.get_nodeattr("accDataType")]
    assert sums.signed()
    assert sums.bitwidth() >= bits + 3
    generate(model, tmp_path, PYNQ.part, 100)
    simulator = Simulator(tmp_path, models, optimise=False)
    codes = case.codes(20)
    stream = next(s for s in simulator.design.streams if s.producer == "linear0")
    result = simulator.run(codes, capture=[stream.name])
    layers = Emulator(model).run_layers(codes)
    tensor = next(node.output[0] for node in model.graph.node if node.name == "linear0")
    assert np.array_equal(result.captured[stream.name][:20], layers[tensor])
