"""Whether an accelerator fits a board, by synthesis and by estimates."""

import pytest

from hwflow.errors import HwflowError, RequestError
from hwflow.facts.resources import Resources
from hwflow.synth.capacity import check_capacity, check_estimates
from tests.support.hardware import PYNQ


def test_an_over_full_board_names_what_is_short_and_the_costliest_layers():
    layers = {n: Resources(lut=lut) for n, lut in (("a", 9), ("b", 50_000), ("c", 9_000))}
    with pytest.raises(HwflowError) as caught:
        check_capacity(layers, PYNQ, "Yosys")
    assert "59,009 LUT of 53,200 (most: b 50,000, c 9,000, a 9)" in str(caught.value)
    check_capacity({"a": Resources(lut=53_200)}, PYNQ, "Yosys")


def test_estimates_may_exceed_a_board_by_what_they_can_be_wrong_and_no_more():
    check_estimates({"a": Resources(lut=2 * 53_200, bram18=350)}, PYNQ, "estimates")
    with pytest.raises(RequestError, match=r"needs 106,401 LUT of 53,200 \(most: a 106,401\)"):
        check_estimates({"a": Resources(lut=2 * 53_200 + 1)}, PYNQ, "estimates")
    with pytest.raises(RequestError) as caught:
        check_estimates({"a": Resources(lut=60_000, bram18=351)}, PYNQ, "estimates")
    assert "60,000 LUT of 53,200" in str(caught.value)
    assert "351 BRAM18 of 280" in str(caught.value)
