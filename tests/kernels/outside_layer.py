"""A layer of another package, from a network's file to its RTL; run by `test_catalogue.py`."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper

from hwflow.cli import main
from hwflow.dataflow.folding import fold_for_cycles
from hwflow.dataflow.lower import lower
from hwflow.emulate import Emulator
from hwflow.exchange.reference import Reference
from hwflow.recipe import Hardware, Stall
from hwflow.rtl.generate import generate
from hwflow.simulate import Simulator
from hwflow.simulate.sizing import size_fifos
from hwflow.verify.rtl import verify_rtl
from tests.support.bench import Bench, one_layer
from tests.support.hardware import PYNQ
from tests.support.random_networks import LayerSpec, build_case
from tests.support.resources import estimated, synthesised

pytestmark = pytest.mark.rtl

LAYER = LayerSpec(12, 3, 4, False, False, True, True)
CASE = build_case(24, [LAYER, LAYER], 5, 4, identity=False, bias=True, seed=2)


def signum(datatype, channels, pe):
    return one_layer(
        "Signum_rtl",
        [(datatype, [1, 3, channels])],
        NumChannels=channels,
        PE=pe,
        inputDataType=datatype,
        numInputVectors=[1, 3],
    )


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The network, with the signs of what its first hidden layer makes."""
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    model = onnx.ModelProto()
    model.CopyFrom(CASE.model)
    quantizers = [n for n in model.graph.node if n.op_type == "Quant" and "t" in n.input[0]]
    hidden = quantizers[1]
    reader = next(n for n in model.graph.node if hidden.output[0] in n.input)
    place = list(model.graph.node).index(reader)
    reader.input[0] = "signs"
    node = helper.make_node("Sign", [hidden.output[0]], ["signs"], name="signs")
    model.graph.node.insert(place, node)
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="module")
def lowered(finn, network):
    return lower(network, CASE.code, Hardware(), PYNQ)


def test_it_is_lowered_named_and_emulated(lowered, network):
    kinds = {node.name: node.op_type for node in lowered.model.graph.node}
    assert kinds["sign0"] == "Signum_rtl"
    codes = CASE.codes(200)
    trace = Reference(network).run(CASE.inputs(codes))
    emulator = Emulator(lowered.model)
    assert np.array_equal(emulator.run(codes), trace.classes())
    layers = emulator.run_layers(codes)
    for name, tensor in lowered.quantizers.items():
        if tensor in layers:
            assert np.array_equal(layers[tensor], trace.codes[name])


def test_it_is_folded_and_simulated_bit_by_bit(lowered, models, tmp_path):
    model = lowered.model
    fold_for_cycles(model, 6)
    assert model.get_nodes_by_op_type("Signum_rtl")[0].attribute
    sized = size_fifos(model, CASE.codes(8), PYNQ.part, 100, models)
    design = generate(sized.model, tmp_path, PYNQ.part, 100)
    (node,) = [node for node in design.nodes if node.name == "sign0"]
    assert (node.kernel, node.pe) == ("outside_signs signum", 2)
    assert "kernels/signum.sv" in node.files
    simulator = Simulator(tmp_path, models)
    stalls = [Stall(), Stall(source=30, sink=50)]
    for execution, _ in verify_rtl(simulator, sized.model, CASE.codes(30), None, stalls, seed=1):
        assert (execution.samples, execution.mismatches) == (30, 0)


def test_its_rtl_is_finns_execution_at_the_rate_it_says(finn, models, tmp_path):
    types = ["INT2", "INT4", "INT9", "UINT3", "BIPOLAR"]
    layers = [signum(kind, 8, pe) for kind in types for pe in (1, 4)]
    Bench(layers, tmp_path, models).check()


def test_its_estimate_is_near_the_netlist(finn, tmp_path):
    layers = [signum("INT4", 8, 4), signum("INT8", 8, 8)]
    for model, found in zip(layers, synthesised(layers, tmp_path), strict=True):
        assert abs(found["lut"] - estimated(model)["lut"]) <= 0.3 * found["lut"]


def test_it_is_among_the_kernels():
    outcome = CliRunner().invoke(main, ["kernels", "--json"])
    rows = {row["op"]: row for row in json.loads(outcome.output)}
    assert rows["Signum_rtl"]["of"] == "outside_signs"
    assert rows["Pool_rtl"]["of"] == "hwflow"
