"""The reference's convolutions and pools: torch's values, exact on integers, bounds that hold."""

import numpy as np
import pytest
import torch
from onnx import helper
from torch.nn import functional as F  # noqa: N812

from hwflow.errors import HwflowError
from hwflow.exchange.reference import evaluate
from hwflow.exchange.values import Quantized

ONE = np.asarray(1.0)


def computed(kind, operands, **attributes):
    """What the reference makes of an operation."""
    names = [f"x{n}" for n in range(len(operands))]
    return evaluate(helper.make_node(kind, names, ["y"], **attributes), operands)


def integers(shape, low, high, seed=0):
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(np.float64)


@pytest.mark.parametrize(
    ("shape", "weight", "attributes"),
    [
        ((2, 4, 9, 7), (6, 4, 3, 2), {"strides": [2, 1], "pads": [1, 0, 1, 1]}),
        ((2, 4, 9, 9), (4, 1, 3, 3), {"group": 4, "dilations": [2, 2], "pads": [2, 2, 2, 2]}),
        ((2, 3, 11), (5, 3, 3), {"strides": [3], "pads": [1, 1]}),
    ],
)
def test_convolutions_of_codes_are_exact_and_in_their_bound(shape, weight, attributes):
    x = Quantized(integers(shape, -8, 7), np.asarray(0.3), -8, 7)
    scale = np.linspace(0.1, 0.5, weight[0]).reshape(-1, *[1] * (len(weight) - 1))
    w = Quantized(integers(weight, -7, 7, 1), scale, -7, 7)
    made = computed("Conv", [x, w], **attributes)
    assert np.array_equal(made.codes, np.rint(made.codes))
    assert made.minimum <= made.codes.min()
    assert made.codes.max() <= made.maximum
    pads = attributes.get("pads", [])
    images = len(shape) - 2
    flat = [n for axis in reversed(range(images)) for n in (pads[axis], pads[images + axis])]
    convolve = F.conv1d if images == 1 else F.conv2d
    wanted = convolve(
        F.pad(torch.from_numpy(x.value), flat),
        torch.from_numpy(w.value),
        stride=attributes.get("strides", 1),
        dilation=attributes.get("dilations", 1),
        groups=attributes.get("group", 1),
    )
    assert np.allclose(made.value, wanted.numpy(), atol=1e-12)
    bias = np.arange(weight[0], dtype=float)
    biased = computed("Conv", [x, w, bias], **attributes)
    assert np.allclose(biased, wanted.numpy() + bias.reshape(-1, *[1] * images), atol=1e-12)


def test_accumulators_that_float64_does_not_hold_are_refused():
    x = Quantized(np.full((1, 1, 2), 2.0**30), ONE, 0, 2**30)
    w = Quantized(np.full((1, 1, 1), 2.0**30), ONE, 0, 2**30)
    with pytest.raises(HwflowError, match="53 bits"):
        computed("Conv", [x, w])


@pytest.mark.parametrize("quantized", [False, True])
def test_maxima(quantized):
    x = integers((2, 3, 7, 8), -9, 9)
    attributes = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    wanted = F.max_pool2d(
        torch.from_numpy(np.pad(x, [(0, 0)] * 2 + [(1, 1)] * 2, constant_values=-99)), (3, 2), 2
    )
    made = computed("MaxPool", [Quantized(x, ONE, -9, 9) if quantized else x], **attributes)
    assert np.array_equal(made.codes if quantized else made, wanted.numpy())


def test_averages_round_once():
    x = Quantized(integers((2, 3, 7, 3), -8, 7), np.asarray(0.1), -8, 7)
    made = computed("GlobalAveragePool", [x])
    assert made.shape == (2, 3, 1, 1)
    assert np.array_equal(made, x.codes.sum((2, 3), keepdims=True) * 0.1 / 21)


def test_codes_stay_codes_in_a_concatenation_of_one_scale():
    first, second = (Quantized(integers((2, n, 3), 0, 3, n), np.asarray(0.5), 0, 3) for n in (2, 4))
    together = computed("Concat", [first, second], axis=1)
    assert together.codes.shape == (2, 6, 3)
    other = Quantized(second.codes, np.asarray(0.25), 0, 3)
    assert isinstance(computed("Concat", [first, other], axis=1), np.ndarray)
