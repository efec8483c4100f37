"""The pass over graphs: what it makes of branches, pools, factors; what stays as it was."""

import copy

import pytest
import torch
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from brevitas.quant_tensor import IntQuantTensor
from torch import nn
from torch.nn import functional as F  # noqa: N812

from hwflow.compress import STAGES, StageContext, load_checkpoint, save_checkpoint
from hwflow.compress.quantize import quantize_network
from hwflow.compress.quantize.calibration import calibrate
from hwflow.compress.quantize.graph import standard_graph
from hwflow.compress.quantize.inputs import input_structure
from hwflow.compress.quantize.tracing import is_join
from hwflow.data import load
from hwflow.networks import Rescale, TensorNorm
from hwflow.recipe import Digits, Quantize
from tests.compress.quantize.networks import SHAPE, TAKEN, Residual, factors, head, pool_first, unit

INPUT = {"bits": 5, "signed": False, "limit": 1.0, "shape": SHAPE}
SAMPLES = torch.rand(64, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def settings(**options):
    return Quantize(kind="quantize", epochs=0, **options)


def network(name):
    torch.manual_seed(0)
    model = TAKEN[name]()
    model(SAMPLES)  # Statistics of batch norm that are not those of nothing.
    return model.eval()


def quantized(name, **options):
    model = quantize_network(network(name), settings(**options), INPUT)
    calibrate(model, [SAMPLES])
    return model


@pytest.mark.parametrize("name", TAKEN)
def test_standardizing_changes_no_value(name):
    model = network(name)
    assert torch.allclose(standard_graph(model, SHAPE).eval()(SAMPLES), model(SAMPLES), atol=1e-6)


@pytest.mark.parametrize("name", TAKEN)
def test_every_layer_sees_integers_and_every_join_one_scale(name):
    model = quantized(name)
    seen = []
    for module in model.modules():
        if isinstance(module, QuantWeightBiasInputOutputLayer):
            module.register_forward_pre_hook(lambda layer, args: seen.append(args[0]))
    joins = []

    class Recorder(torch.fx.Interpreter):
        def run_node(self, node):
            if is_join(node):
                joins.append([self.env[value].scale for value in node.all_input_nodes])
            return super().run_node(node)

    Recorder(model).run(SAMPLES)
    assert seen
    for value in seen:
        assert isinstance(value, IntQuantTensor)
        codes = value.value / value.scale
        assert torch.allclose(codes, codes.round(), atol=1e-3)
        assert value.bit_width <= 8
    assert all(torch.equal(scales[0], scale) for scales in joins for scale in scales)
    wanted = {"residual": 3, "pre_activation": 2, "dense": 3, "meets_itself": 2}
    assert len(joins) == wanted.get(name, 0)


@pytest.mark.parametrize("name", TAKEN)
def test_eight_bits_are_nearly_the_float_network(name):
    model = network(name)
    options = {"weight_bits": 8, "activation_bits": 8, "weight_scaling": "per_channel"}
    wanted, got = model(SAMPLES), quantized(name, **options)(SAMPLES)
    assert (wanted - got).std() < 0.1 * wanted.std()


def test_each_sum_has_a_quantizer_that_its_branches_share():
    model = quantized("residual")
    called = [str(node.target) for node in model.graph.nodes if node.op == "call_module"]
    for name in ("add_quantizer", "add_1_quantizer", "add_2_quantizer"):
        assert called.count(name) == 2
    assert all(called.count(str(name)) == 1 for name in called if name.startswith("relu"))


def test_concatenated_relus_are_quantized_once_and_stay_unsigned():
    model = quantized("dense")
    called = [str(node.target) for node in model.graph.nodes if node.op == "call_module"]
    assert called.count("cat_quantizer") == 3  # A concatenation of concatenations: one scale.
    assert called.count("cat_2_quantizer") == 2
    assert not model.cat_2_quantizer.act_quant.is_signed


def test_factors_get_a_signed_quantizer_between_of_its_own_bits():
    model = quantized("factors", signed_bits=6)
    between = [model.get_submodule(f"_{n}_quantizer").act_quant for n in (4, 5, 9, 10, 14)]
    assert all(quantizer.is_signed and quantizer.bit_width() == 6 for quantizer in between)
    assert model.get_submodule("_2_quantizer").act_quant.bit_width() == 4


def test_an_average_is_quantized_again_in_bits_of_its_own():
    model = quantized("residual", pool_bits=7)
    assert model.avg_pool2d_quantizer.act_quant.bit_width() == 7
    assert isinstance(model.avg_pool2d_module, nn.AdaptiveAvgPool2d)


def test_a_pool_that_covers_no_whole_image_stays():
    traced = standard_graph(nn.Sequential(*unit(1, 4), nn.AvgPool2d(4), *head(4)), SHAPE)
    assert isinstance(traced.get_submodule("3"), nn.AvgPool2d)


def test_pools_stand_behind_quantizers():
    model = quantized("pool_first")
    seen = []
    for module in model.modules():
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_pre_hook(lambda layer, args: seen.append(args[0]))
    model(SAMPLES)
    assert len(seen) == 2
    assert all(isinstance(value, IntQuantTensor) for value in seen)


def test_convolutions_get_images_in_their_own_codes(data):
    model = Residual()
    structure = input_structure(model, settings(), data)
    assert structure == {"bits": 5, "signed": False, "limit": 31 / 16, "shape": [1, 8, 8]}
    quantizer = quantize_network(model, settings(), structure).input_quantizer.eval()
    inputs = torch.from_numpy(data.floats(data.test))
    assert torch.equal(quantizer(inputs).value, inputs)


def test_images_that_are_scaled_first_get_bits_over_their_range(data):
    model = nn.Sequential(Rescale(2.0, -1.0), nn.MaxPool2d(2), *unit(1, 4), *head(4), TensorNorm())
    structure = input_structure(model, settings(input_bits=3), data)
    assert (structure["bits"], structure["signed"], structure["limit"]) == (3, True, 1.0)
    traced = standard_graph(model, SHAPE)
    assert isinstance(traced.get_submodule("0"), Rescale)  # A call each, not what they compute.
    assert isinstance(traced.get_submodule("8"), TensorNorm)


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = torch.relu(self.first(torch.flatten(x, 1)))
        return self.last(F.dropout(x, 0.5, training=self.training))


def test_functional_dropout_ends_with_training():
    model = quantize_network(Dropping(), settings(), INPUT)
    calibrate(model, [SAMPLES])
    assert torch.equal(model(SAMPLES), model(SAMPLES))
    model.train()
    assert not torch.equal(model(SAMPLES), model(SAMPLES))


def test_a_layer_that_is_called_twice_is_quantized_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.flat, self.same, self.last = nn.Flatten(), nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x):
            x = torch.relu(self.same(self.flat(x)))
            return self.last(torch.relu(self.same(x)))

    model = quantize_network(Twice(), settings(), INPUT)
    calibrate(model, [SAMPLES])
    assert len([n for n in model.graph.nodes if n.target == "same"]) == 2


@pytest.mark.parametrize("make", [Residual, factors])
def test_a_trained_network_is_rebuilt_bit_for_bit(data, tmp_path, make):
    torch.manual_seed(0)
    model = make()
    stage, options = STAGES["quantize"], settings(post_training={"rounding": "gptq"})
    outcome = stage.run(copy.deepcopy(model), options, StageContext(data, 0, tmp_path))
    save_checkpoint(tmp_path, outcome)
    again = load_checkpoint(tmp_path, stage, model, options).model
    inputs = torch.from_numpy(data.floats(data.test)[:100])
    assert torch.equal(outcome.model(inputs), again(inputs))


def test_it_learns(data, tmp_path):
    torch.manual_seed(0)
    options = Quantize(kind="quantize", epochs=3, batch_size=25, learning_rate=0.01)
    outcome = STAGES["quantize"].run(pool_first(), options, StageContext(data, 0, tmp_path))
    assert outcome.metrics["test_accuracy"] > 0.5


def test_a_shared_quantizer_is_calibrated_for_the_wider_of_its_values():
    class Meeting(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(1, 4, 1), nn.Conv2d(1, 4, 1)
            self.end = nn.Sequential(nn.ReLU(), *head(4))
            for layer, weight in ((self.wide, 8.0), (self.narrow, 0.5)):
                nn.init.constant_(layer.weight, weight)
                nn.init.zeros_(layer.bias)

        def forward(self, x):
            return self.end(self.wide(x) + self.narrow(x))

    model = quantize_network(Meeting(), settings(activation_bits=8), INPUT)
    calibrate(model, [SAMPLES[:32], SAMPLES[32:]])
    greatest = 127 * model.add_quantizer.act_quant.scale()
    assert torch.isclose(greatest, 8 * SAMPLES.amax(), rtol=0.02)


class SumIntoAverage(nn.Module):
    """A sum, which is quantized before the average pool, whose output is quantized too."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3)
        self.pool, self.last = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 10)

    def forward(self, x):
        return self.last(self.pool(self.one(x) + self.other(x)).flatten(1))


def test_what_goes_into_an_average_and_what_comes_out_have_quantizers_of_their_own():
    settings = Quantize(kind="quantize", activation_bits=4, pool_bits=7)
    structure = {"bits": 8, "signed": True, "limit": 1.0, "shape": SHAPE}
    made = quantize_network(SumIntoAverage(), settings, structure)
    pool = [m for name, m in made.named_children() if name.startswith("pool_")]
    assert sorted(int(m.act_quant.bit_width()) for m in pool) == [4, 7]
