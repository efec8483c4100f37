import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwflow.dataflow.thresholds import step_thresholds


def apply(steps, accumulators):
    values = np.where(steps.negate, -accumulators, accumulators)
    return steps.base + (values[..., None] >= steps.thresholds).sum(-1)


def quantizer(scale, offset, low, high):
    """Round half to even and clip, as QONNX's Quant does."""
    return lambda n: np.clip(np.rint(n * scale + offset), low, high).astype(np.int64)


@given(
    scales=st.lists(
        st.sampled_from([-2.0, -0.5, -0.25, 0.0, 0.125, 0.25, 0.5, 1.0, 3.0]), min_size=1
    ),
    offset=st.sampled_from([0.0, 0.5, -0.25, 1.5]),
    bits=st.integers(1, 6),
    signed=st.booleans(),
    span=st.integers(1, 300),
)
def test_every_integer_comes_out_as_in_software_ties_included(scales, offset, bits, signed, span):
    scale = np.array(scales)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    function = quantizer(scale, offset, low, high)
    ends = np.full(len(scale), -span), np.full(len(scale), span)
    steps = step_thresholds(function, *ends, (low, high))
    accumulators = np.arange(-span, span + 1)[:, None].repeat(len(scale), 1)
    assert np.array_equal(apply(steps, accumulators), function(accumulators))


def test_power_of_two_scales_have_exact_ties_and_they_round_half_to_even():
    function = quantizer(np.array([0.25]), 0.0, 0, 7)
    steps = step_thresholds(function, np.array([-20]), np.array([40]), (0, 7))
    # n / 4 = 0.5 rounds to 0 and 1.5 to 2: so 1 is reached at 3, not at 2, and 2 at 6.
    assert steps.thresholds[0].tolist() == [3, 6, 11, 14, 19, 22, 27]


def test_thresholds_ascend_and_lie_in_the_accumulators_range_or_just_beyond():
    function = quantizer(np.array([0.01, -0.3, 5.0]), 0.2, -4, 3)
    low, high = np.array([-50, -70, 0]), np.array([60, 10, 90])
    steps = step_thresholds(function, low, high, (-4, 3))
    assert np.all(np.diff(steps.thresholds) >= 0)
    start = np.where(steps.negate, -high, low)
    end = np.where(steps.negate, -low, high)
    assert np.all(steps.thresholds >= start[:, None])
    assert np.all(steps.thresholds <= end[:, None] + 1)
