import numpy as np
import pytest
import torch
from hypothesis import given, settings
from qonnx.core.onnx_exec import execute_onnx

from hwflow.emulate import Emulator
from hwflow.emulate.layers import EXACT, Linear, Steps, UniformSteps
from hwflow.errors import HwflowError
from hwflow.exchange import Reference
from tests.hardware import lowered
from tests.random_networks import LayerSpec, build_case, cases


@settings(max_examples=40)
@given(case=cases())
def test_equals_finns_own_execution_of_the_hardware_graph_in_every_layer(finn, case):
    hardware = lowered(case)
    codes = case.codes(6)
    layers = Emulator(hardware.model).run_layers(codes)
    for index in range(len(codes)):
        inputs = {"codes": codes[index : index + 1].astype(np.float32)}
        context = execute_onnx(hardware.model, inputs, True)
        for tensor, values in layers.items():
            assert np.array_equal(values[index], context[tensor].reshape(-1)), tensor


@settings(max_examples=40)
@given(case=cases())
def test_equals_the_software_in_every_quantized_activation(finn, case):
    hardware = lowered(case)
    codes = case.codes(50)
    trace = Reference(case.model).run(case.inputs(codes))
    layers = Emulator(hardware.model).run_layers(codes) | {"codes": codes}
    for name, tensor in hardware.quantizers.items():
        assert np.array_equal(layers[tensor], trace.codes[name]), name
    assert np.array_equal(layers["label"][:, 0], trace.logits.argmax(1))


def test_batches_of_any_size_give_the_same(finn):
    layer = LayerSpec(8, 3, 3, True, False, True, False)
    case = build_case(16, [layer, layer], 5, 8, identity=False, bias=True, seed=5)
    emulator = Emulator(lowered(case).model)
    codes = case.codes(2 * Emulator.BATCH + 3)
    together = emulator.run(codes)
    assert together.shape == (len(codes), 1)
    one_by_one = [emulator.run(codes[i : i + 1])[0] for i in range(0, len(codes), 97)]
    assert np.array_equal(together[::97], one_by_one)
    assert emulator.run(codes[:0]).shape == (0, 1)


@pytest.mark.parametrize(
    ("magnitude", "kind"),
    [(2**23, torch.float32), (2**24, torch.float64), (2**52, torch.float64)],
)
def test_a_product_travels_in_the_narrowest_exact_container(magnitude, kind):
    assert Linear(np.array([[1]]), magnitude).kind == kind


def test_sums_are_exact_up_to_the_bound():
    size = 1000
    limit = EXACT[torch.float32] // size - 1
    weights = np.ones((size, 1), np.int64)
    inputs = np.full((3, size), limit) - np.arange(3)[:, None]
    out = Linear(weights, limit)(torch.from_numpy(inputs)).numpy()
    assert out[:, 0].astype(np.int64).tolist() == inputs.sum(1).tolist()


def test_an_accumulator_that_no_container_holds_is_refused():
    with pytest.raises(HwflowError, match="53 bits"):
        Linear(np.array([[2]]), 2**52)


def test_step_functions_agree_whatever_way_they_are_computed():
    random = np.random.default_rng(0)
    thresholds = np.sort(random.integers(-100, 100, 40))
    inputs = torch.arange(-128, 128).reshape(-1, 1)
    values = np.arange(41) - 7
    table = UniformSteps(thresholds, -128, 127, values)(inputs)
    searched = Steps(thresholds[None], 128, -7, 1)(inputs)
    counted = (inputs.numpy() >= thresholds).sum(1, keepdims=True) - 7
    assert np.array_equal(table, counted)
    assert np.array_equal(searched, counted)
    few = Steps(thresholds[None, :5], 128, 0, 1)(inputs)
    assert np.array_equal(few, (inputs.numpy() >= thresholds[:5]).sum(1, keepdims=True))
