"""The unit of each layer: as asked for, or so that a board is used least."""

import itertools

import numpy as np
import pytest
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from hwflow.board import Resources
from hwflow.dataflow.choose_mvau import Cost, Layer, choose_mvau, least_use
from hwflow.emulate import Emulator
from hwflow.errors import RequestError
from hwflow.recipe import Hardware
from tests.support.hardware import PYNQ, lowered
from tests.support.layers import vvau
from tests.support.random_networks import LayerSpec, build_case

NOTHING = Cost(0, 0)


def board(lut, dsp):
    return PYNQ.model_copy(update={"resources": Resources(lut=lut, ff=0, dsp=dsp, bram18=0)})


def layer(name, lut, dsp_luts, dsps):
    return Layer(name, {"lut": Cost(lut, 0), "dsp": Cost(dsp_luts, dsps)})


def use(layers, chosen, others, there):
    taken = [others, *(x.units[chosen[x.name]] for x in layers)]
    return max(
        sum(cost.lut for cost in taken) / there.resources.lut,
        sum(cost.dsp for cost in taken) / there.resources.dsp,
    )


def test_a_layer_that_luts_serve_as_well_has_no_dsps():
    layers = [layer("a", 100, 100, 4), layer("b", 5000, 100, 4)]
    assert least_use(layers, {}, NOTHING, board(50_000, 100)) == {"a": "lut", "b": "dsp"}


def test_layers_that_cost_fewest_luts_for_a_dsp_are_moved_first():
    layers = [layer("dear", 9000, 0, 50), layer("cheap", 2000, 0, 50), layer("mid", 5000, 0, 50)]
    chosen = least_use(layers, {}, NOTHING, board(10_000, 100))
    assert chosen == {"dear": "dsp", "cheap": "lut", "mid": "lut"}


def test_a_board_without_dsps_has_layers_of_luts():
    layers = [layer("a", 9000, 10, 5), layer("b", 9000, 10, 5)]
    assert set(least_use(layers, {}, NOTHING, board(1000, 0)).values()) == {"lut"}


def test_what_other_layers_take_counts():
    layers = [layer("a", 400, 0, 60)]
    assert least_use(layers, {}, NOTHING, board(1000, 100)) == {"a": "lut"}
    assert least_use(layers, {}, Cost(700, 0), board(1000, 100)) == {"a": "dsp"}


def test_what_is_fixed_stays_and_is_counted():
    layers = [layer("a", 900, 0, 80), layer("b", 500, 0, 50)]
    found = least_use(layers, {"a": "dsp"}, NOTHING, board(1000, 100))
    assert found == {"a": "dsp", "b": "lut"}


def test_the_use_is_the_least_but_for_one_layer():
    random = np.random.default_rng(0)
    there, exact = board(10_000, 100), 0
    for _ in range(60):
        layers = [
            layer(str(i), int(random.integers(100, 4000)), int(random.integers(50, 800)), int(n))
            for i, n in enumerate(random.integers(1, 50, 7))
        ]
        found = use(layers, least_use(layers, {}, NOTHING, there), NOTHING, there)
        names = [x.name for x in layers]
        least = min(
            use(layers, dict(zip(names, units, strict=True)), NOTHING, there)
            for units in itertools.product(("lut", "dsp"), repeat=len(layers))
        )
        single = max(max(x.units["lut"].lut / 10_000, x.units["dsp"].dsp / 100) for x in layers)
        assert least <= found <= least + single
        exact += found == least
    assert exact >= 54


# ------------------------------------------------------------------------------------- graphs

LAYER = LayerSpec(12, 3, 3, False, False, True, False)
BINARY = LayerSpec(12, 1, 1, True, False, True, True)


@pytest.fixture(scope="module")
def case():
    return build_case(24, [LAYER, LAYER], 5, 4, True, True, 2)


def types(model):
    return {n.name: n.op_type for n in model.graph.node if n.op_type.endswith("MVAU_rtl")}


def test_a_recipe_chooses_for_all_layers_or_by_name(finn, case):
    assert set(types(lowered(case, Hardware(mvau="lut")).model).values()) == {"LutMVAU_rtl"}
    assert set(types(lowered(case, Hardware(mvau="dsp")).model).values()) == {"MVAU_rtl"}
    found = types(lowered(case, Hardware(mvau={"linear.*": "dsp", "linear1": "lut"})).model)
    assert found == {"linear0": "MVAU_rtl", "linear1": "LutMVAU_rtl", "linear2": "MVAU_rtl"}


def test_both_units_compute_the_same_in_as_many_cycles(finn, case):
    codes = case.codes(20)
    on_dsps, on_luts = (lowered(case, Hardware(mvau=unit)) for unit in ("dsp", "lut"))
    assert np.array_equal(Emulator(on_dsps.model).run(codes), Emulator(on_luts.model).run(codes))
    assert on_dsps.bound_cycles == on_luts.bound_cycles
    frame = {on_luts.model.graph.input[0].name: codes[:1].astype(np.float32)}
    found = execute_onnx(on_luts.model, frame)[on_luts.model.graph.output[0].name]
    assert np.array_equal(found.reshape(-1), Emulator(on_luts.model).run(codes[:1]).reshape(-1))


def test_weights_of_one_bit_are_kept_in_one_bit(finn):
    layer = LayerSpec(12, 1, 3, True, False, True, False)
    model = lowered(build_case(24, [layer], 5, 4, True, True, 2), Hardware(mvau="lut")).model
    weights = getCustomOp(model.get_nodes_by_op_type("LutMVAU_rtl")[0]).get_input_datatype(1)
    assert weights.name == "BIPOLAR"


def test_depthwise_layers_are_chosen_for_too(finn):
    random = np.random.default_rng(1)
    for numbers, asked, unit in [
        (["INT8", "UINT8"], "dsp", "dsp"),
        (["INT8", "UINT8"], "lut", "lut"),
        (["INT2", "UINT2"], "dsp", "lut"),
        (["INT2", "UINT2"], "auto", "lut"),
    ]:
        model = vvau(4, [3, 3], 2, 3, numbers, [2, 2], "auto", random)
        assert choose_mvau(model, asked, PYNQ) == {"layer": unit}
        assert getCustomOp(model.graph.node[0]).on_dsps == (unit == "dsp")


@pytest.mark.parametrize(
    ("mvau", "says", "hint"),
    [
        ({"linaer1": "lut"}, "'linaer1' matches no layer that multiplies", "'linear1'"),
        ({"linear(": "lut"}, "'linear(' is no regular expression", "a layer's name"),
    ],
)
def test_a_pattern_that_does_nothing_is_refused(finn, case, mvau, says, hint):
    with pytest.raises(RequestError) as caught:
        lowered(case, Hardware(mvau=mvau))
    assert says in str(caught.value)
    assert hint in str(caught.value)


def test_dsps_for_binary_numbers_are_refused(finn):
    case = build_case(24, [BINARY, BINARY], 5, 1, True, False, 2)
    assert "XnorMVAU_rtl" in types(lowered(case, Hardware(mvau="dsp")).model).values()
    with pytest.raises(RequestError, match="can't be on DSP blocks"):
        lowered(case, Hardware(mvau={"linear1": "dsp"}))
