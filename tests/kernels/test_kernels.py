"""hwflow's kernels in Verilator against FINN's execution of their ops, under stalls."""

import numpy as np
import pytest
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.stitch import insert_converters, insert_fifos
from hwflow.recipe import Stall
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator
from tests.hardware import PYNQ, lowered
from tests.random_networks import LayerSpec, build_case

FRAMES = 20
STALLS = (Stall(), Stall(source=30, sink=50), Stall(source=0, sink=80))


def check(case, folding, op, folder, models):
    """The streams that leave the layers of an op, against FINN's values of them."""
    model = lowered(case).model
    for node in model.graph.node:
        for attribute, value in folding.get(node.name, {}).items():
            getCustomOp(node).set_nodeattr(attribute, value)
    model = insert_fifos(insert_converters(model))
    generate(model, folder, PYNQ.part, 100)
    codes = case.codes(FRAMES)
    nodes = {node.name: node.output[0] for node in model.graph.node if node.op_type == op}
    assert nodes
    wanted = {name: [] for name in nodes}
    for frame in codes:
        context = execute_onnx(model, {"codes": frame[None].astype(np.float32)}, True)
        for name, tensor in nodes.items():
            wanted[name].append(context[tensor].reshape(-1))
    simulator = Simulator(folder, models, optimise=False)
    streams = {s.producer: s.name for s in simulator.design.streams if s.producer in nodes}
    for stall in STALLS:
        result = simulator.run(codes, stall=stall, seed=3, capture=list(streams.values()))
        for name, stream in streams.items():
            assert np.array_equal(result.captured[stream][:FRAMES], np.array(wanted[name])), stall


@pytest.mark.parametrize(
    ("features", "width", "pe", "simd"),
    [(1, 1, 1, 1), (6, 4, 1, 1), (6, 4, 4, 6), (16, 8, 2, 4), (24, 3, 3, 8), (35, 6, 2, 35)],
)
def test_xnor_popcount_equals_the_product(finn, models, tmp_path, features, width, pe, simd):
    layer = LayerSpec(width, 1, 1, True, False, True, True)
    case = build_case(features, [layer], 3, 1, identity=False, bias=False, seed=features)
    check(case, {"linear0": {"PE": pe, "SIMD": simd}}, "XnorMVAU_rtl", tmp_path, models)


@pytest.mark.parametrize(
    ("classes", "pe", "bias"), [(2, 1, False), (5, 5, True), (10, 1, True), (10, 5, False)]
)
def test_label_select_takes_the_lowest_of_the_greatest(finn, models, tmp_path, classes, pe, bias):
    layer = LayerSpec(4, 2, 2, False, True, False, False)
    case = build_case(8, [layer], classes, 2, identity=True, bias=bias, seed=classes)
    check(case, {"label": {"PE": pe}}, "LabelSelect_rtl", tmp_path, models)


def test_equal_logits_do_occur_in_these_networks(finn):
    """So that the test above says something about ties."""
    layer = LayerSpec(4, 2, 2, False, True, False, False)
    case = build_case(8, [layer], 10, 2, identity=True, bias=False, seed=10)
    model = lowered(case).model
    sums = model.graph.node[-1].input[0]
    ties = 0
    for frame in case.codes(FRAMES):
        values = execute_onnx(model, {"codes": frame[None].astype(np.float32)}, True)[sums]
        ties += int((values == values.max()).sum() > 1)
    assert ties > 0
