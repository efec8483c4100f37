"""The class of the greatest logit from integers: logits keep their order, whatever their biases."""

from fractions import Fraction

import numpy as np
import pytest

from hwflow.board import load_board
from hwflow.dataflow.logits import comparable, reachable
from hwflow.dataflow.lower import lower
from hwflow.emulate import Emulator
from hwflow.errors import HwflowError
from hwflow.exchange.importing.importer import import_model
from hwflow.exchange.reference import Reference, Trace
from hwflow.recipe import Hardware, ImportedModel
from tests.support.model_files import File, saved


def exact_class(slope, zero, accumulators):
    """The first class of the greatest logit, in rational numbers."""
    logits = [
        Fraction(float(s)) * int(a) + Fraction(float(z))
        for s, z, a in zip(slope, zero, accumulators, strict=True)
    ]
    return logits.index(max(logits))


@pytest.mark.parametrize("seed", range(20))
def test_keys_are_ordered_as_logits_are(seed):
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 12))
    # Powers of two: products and sums are exact, so ties are ties.
    slope = np.full(classes, 2.0**-6)
    if seed % 2:
        slope *= 2.0 ** random.integers(0, 3, classes)
    zero = random.integers(-300, 300, classes) / 2.0 ** random.integers(4, 12)
    keys = comparable(slope, zero)
    # A narrow range: ties and near ties are common.
    for accumulators in random.integers(-6, 7, (200, classes)):
        chosen = int(np.argmax(keys.factors * accumulators + keys.biases))
        assert chosen == exact_class(slope, zero, accumulators)


def test_biases_in_steps_of_the_accumulator_need_no_more_bits():
    unit = float(np.float32(0.1)) * float(np.float32(0.3))
    keys = comparable(np.full(3, unit), np.asarray([5.0, -2.0, 0.0]) * unit)
    assert keys.factors.tolist() == [1, 1, 1]
    assert keys.biases.tolist() == [7, 0, 2]


def test_great_biases_decide_by_what_is_less_than_a_step():
    keys = comparable(np.ones(2), np.asarray([0.0, 1000.25]))
    assert (keys.factors * [1000, 0] + keys.biases).argmax() == 1
    assert (keys.factors * [1001, 0] + keys.biases).argmax() == 0


@pytest.mark.parametrize("seed", range(5))
def test_biases_out_of_reach_are_brought_near_and_change_no_order(seed):
    random = np.random.default_rng(seed)
    biases = random.choice([0, 3, 9, 40, 2**31], 8) + random.integers(0, 6, 8)
    biases -= biases.min()
    span = int(random.integers(4, 12))
    closer = reachable(biases, span)
    assert closer.max() <= min(biases.max(), 7 * (span + 1))
    numbers = random.integers(0, span + 1, (2000, 8))
    first, second = (np.argsort(-(numbers + b), axis=1, kind="stable") for b in (biases, closer))
    assert np.array_equal(first, second)


def test_logits_that_only_rounding_tells_apart_are_equal_in_the_reference():
    near = [0.3, 0.1 + 0.2, 0.5, 0.3]
    trace = Trace(np.asarray([near, [1.0, 2.0, 2.0 + 1e-9, -5.0]]), np.zeros(2))
    assert near[0] < near[1]
    assert trace.classes(4).tolist() == [[2, 0, 1, 3], [2, 1, 0, 3]]
    assert trace.classes().tolist() == [[2], [2]]


@pytest.mark.parametrize("seed", range(6))
def test_the_greatest_classes_are_those_of_the_software_in_order(finn, tmp_path, seed):
    """Of few bits, so that many logits are equal."""
    random = np.random.default_rng(seed)
    classes = int(random.integers(3, 12))
    file = File(1, 6)
    x = file.quant("input", 1.0, 2.0)
    x = file.add("MatMul", x, file.weights(6, classes, bits=2, seed=seed, scale=0.1))
    if seed % 2:
        x = file.add("Add", x, np.float32(0.1) * random.integers(-2, 3, classes))
    path = saved(file.model(x, 1, classes), tmp_path)
    normal = import_model(path, ImportedModel(qonnx=path.name)).normal.model
    trace = Reference(normal).run(random.uniform(-2, 2, (300, 6)))
    count = int(random.integers(2, min(classes, 6) + 1))
    source = saved(normal, tmp_path, "normal.onnx")
    lowered = lower(source, None, Hardware(top_k=count), load_board("pynq-z2"))
    labels = Emulator(lowered.model).run(next(iter(trace.codes.values())))
    assert labels.shape == (300, count)
    assert np.array_equal(labels, trace.classes(count))
    assert len(np.unique(trace.logits)) < 300
    with pytest.raises(HwflowError, match=f"the {classes + 1} greatest of {classes} logits"):
        lower(source, None, Hardware(top_k=classes + 1), load_board("pynq-z2"))


def test_scales_without_a_whole_factor_are_refused():
    with pytest.raises(HwflowError, match="differs between classes"):
        comparable(np.asarray([1.0, 1.5]), np.zeros(2))


@pytest.mark.parametrize("scale", [0.125, 2.0 ** -np.arange(3.0, 8.0), -0.125])
def test_a_last_layer_with_a_bias_of_floats_lowers_to_the_same_classes(finn, tmp_path, scale):
    random = np.random.default_rng(1)
    file = File(1, 6)
    x = file.quant("input", 0.25, 3.0)
    weights = file.weights(6, 5, scale=np.abs(scale))
    x = file.add("Gemm", x, weights, random.normal(0, 0.5, 5))
    x = file.add("Mul", x, -1.0) if np.any(np.asarray(scale) < 0) else x
    path = saved(file.model(x, 1, 5), tmp_path)
    normal = import_model(path, ImportedModel(qonnx=path.name)).normal.model
    lowered = lower(saved(normal, tmp_path, "normal.onnx"), None, Hardware(), load_board("pynq-z2"))
    trace = Reference(normal).run(random.uniform(-1, 1, (500, 6)))
    codes = next(iter(trace.codes.values()))
    labels = Emulator(lowered.model).run(codes).reshape(-1)
    assert np.array_equal(labels, trace.classes()[:, 0])
    assert len(np.unique(labels)) > 2
