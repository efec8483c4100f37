import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.onnx_exec import execute_onnx

from hwflow.emulate import Emulator
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Reference
from hwflow.kernels.arithmetic import EXACT
from hwflow.kernels.matrix_product.emulation import Linear
from hwflow.kernels.thresholding.steps import Steps, TableSteps, even_steps
from tests.support.hardware import lowered
from tests.support.random_networks import LayerSpec, build_case, cases


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


def ranges(channels, low, high):
    return np.full(channels, low), np.full(channels, high)


def counted(inputs, thresholds, base=0, factor=1):
    return base + factor * (inputs.numpy()[..., None] >= thresholds).sum(-1)


@pytest.mark.parametrize("count", [5, 40])
def test_step_functions_agree_whatever_way_they_are_computed(count):
    random = np.random.default_rng(0)
    thresholds = np.sort(random.integers(-100, 100, (3, count)), axis=1)
    inputs = torch.arange(-128, 128, dtype=torch.float32)[:, None].expand(-1, 3).contiguous()
    wanted = counted(inputs, thresholds, -7, 2)
    assert np.array_equal(TableSteps(thresholds, -128, 127, -7, 2)(inputs), wanted)
    assert np.array_equal(Steps(thresholds, 128, -7, 2)(inputs), wanted)
    assert even_steps(thresholds, *ranges(3, -128, 127), -7, 2) is None


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 255),
    magnitude=st.sampled_from([3, 100, 5000, 2**21]),
)
def test_even_steps_are_the_thresholds_at_every_integer_near_one(seed, count, magnitude):
    random = np.random.default_rng(seed)
    width = np.exp(random.uniform(-2, np.log(3 * magnitude), (4, 1)))
    start = random.uniform(-magnitude, magnitude, (4, 1))
    thresholds = np.ceil(start + width * np.arange(count)).astype(np.int64)
    low, high = np.full(4, -magnitude), np.full(4, magnitude)
    thresholds = np.clip(thresholds, -magnitude, magnitude + 1)
    found = even_steps(thresholds, low, high, 0, 1)
    if found is None:
        assert magnitude * count > 2**20  # Floats have too few bits.
        return
    near = np.concatenate([thresholds - 1, thresholds, low[:, None], high[:, None]], axis=1)
    inputs = torch.from_numpy(np.clip(near, -magnitude, magnitude).T.astype(np.float32).copy())
    assert np.array_equal(found(inputs), counted(inputs, thresholds))


def test_steps_that_ties_make_uneven_are_no_scale_and_offset():
    # Half-integers rounded to even: the steps are 1 and 3 wide by turns.
    thresholds = np.array([[1, 2, 5, 6, 9, 10, 13]])
    assert even_steps(thresholds, *ranges(1, 0, 15), 0, 1) is None
