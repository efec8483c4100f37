"""Folding: the bound that was asked for, with no more hardware than that takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import divisors, target_cycles
from hwflow.dataflow.folding import fold_for_cycles, layer_cycles
from hwflow.dataflow.folding_file import fold_from_file
from hwflow.errors import HwflowError, RequestError
from hwflow.recipe import Hardware
from tests.support.hardware import PYNQ, lowered
from tests.support.random_networks import LayerSpec, build_case

LAYER = LayerSpec(12, 3, 3, False, False, True, False)


@pytest.fixture(scope="module")
def model(finn):
    return lowered(build_case(24, [LAYER, LAYER], 5, 4, True, True, 2)).model


def multipliers(model):
    layers = [getCustomOp(node) for node in model.get_nodes_by_op_type("MVAU_rtl")]
    return [(x.get_nodeattr("PE"), x.get_nodeattr("SIMD"), x) for x in layers]


@given(n=st.integers(1, 5000))
def test_divisors_divide_and_none_is_left_out(n):
    assert divisors(n) == tuple(d for d in range(1, n + 1) if n % d == 0)


@pytest.mark.parametrize("cycles", [1, 2, 7, 12, 24, 100, 144, 288, 10**9])
def test_the_bound_is_met_and_no_cheaper_folding_meets_it(model, cycles):
    fold_for_cycles(model, cycles)
    assert max(layer_cycles(model).values()) <= cycles
    for pe, simd, layer in multipliers(model):
        height, width = layer.get_nodeattr("MH"), layer.get_nodeattr("MW")
        assert height % pe == 0
        assert width % simd == 0
        cheaper = [
            (p, s)
            for p in divisors(height)
            for s in divisors(width)
            if p * s < pe * simd and (height // p) * (width // s) <= cycles
        ]
        assert not cheaper


def test_the_target_is_frames_a_second_at_the_clock():
    assert target_cycles(Hardware(target_fps=127_500), PYNQ) == 784
    assert target_cycles(Hardware(target_fps=127_500, clock_mhz=50), PYNQ) == 392
    with pytest.raises(RequestError, match="more than the clock"):
        target_cycles(Hardware(target_fps=2e8), PYNQ)


def test_a_file_says_how_each_layer_is_folded(model, tmp_path):
    file = tmp_path / "fold.yaml"
    file.write_text("linear0: {pe: 4, simd: 8}\nlinear0_thresholds: {pe: 2}\n")
    fold_from_file(model, file)
    assert [(pe, simd) for pe, simd, _ in multipliers(model)] == [(4, 8), (1, 1), (1, 1)]
    thresholds = next(n for n in model.graph.node if n.name == "linear0_thresholds")
    assert getCustomOp(thresholds).get_nodeattr("PE") == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("linear9: {pe: 1}", "the network has no layer 'linear9'"),
        ("linear0: {pe: 5}", "does not divide 12"),
        ("linear0: {simd: two}", "does not divide 24"),
        ("linear0: {ped: 1}", "MatMul2 has no 'ped'"),
        ("label: {simd: 1}", "label has no 'simd'"),
        ("linear0: 4", "is 4, not `pe: N, simd: N`"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(model, tmp_path, text, says):
    file = tmp_path / "fold.yaml"
    file.write_text(f"{text}\n")
    with pytest.raises(RequestError) as caught:
        fold_from_file(model, file)
    assert says in str(caught.value)
    assert "fold.yaml:1" in str(caught.value)


def test_a_bound_that_no_folding_reaches_is_refused(model):
    with pytest.raises(HwflowError, match="0 cycles a frame"):
        fold_for_cycles(model, 0)
