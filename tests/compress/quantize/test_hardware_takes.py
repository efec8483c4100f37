"""What hardware takes of torch networks, found by doing it: what is taken computes the same, what
is not is refused before any training, with the layer's name."""

import brevitas.nn as qnn
import brevitas.quant as quantizers
import numpy as np
import onnx
import pytest
import torch
from brevitas.inject.enum import FloatToIntImplType, ScalingPerOutputType
from brevitas.quant import Int8ActPerTensorFloat, TruncTo8bit, Uint8ActPerTensorFloat
from brevitas.quant.shifted_scaled_int import ShiftedUint8WeightPerTensorFloat
from torch import nn
from torch.nn import functional as F  # noqa: N812

from hwflow.build.checking import check_recipe
from hwflow.compress.quantize.calibration import calibrate
from hwflow.compress.quantize.graph import quantize_network
from hwflow.compress.quantize.tracing import made_of_brevitas
from hwflow.data import load
from hwflow.dataflow.integers import InputCode
from hwflow.dataflow.lower import lower
from hwflow.errors import RequestError
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.exchange.importing.importer import normalised
from hwflow.recipe import Digits, Hardware, Quantize, Recipe
from tests.compress.quantize.networks import SHAPE, TAKEN, Block, head, unit
from tests.support.fuzzing.brevitas_network import ENCODING, Exported
from tests.support.fuzzing.check import compare_emulator
from tests.support.hardware import PYNQ

pytestmark = pytest.mark.slow

CODE = InputCode(ENCODING.scale, ENCODING.offset, ENCODING.minimum, ENCODING.maximum)
INPUT = {"bits": 8, "signed": True, "limit": 1.0, "shape": list(SHAPE)}
OPTIONS = {"weight_bits": 3, "activation_bits": 4, "weight_scaling": "per_channel"}


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


@pytest.fixture
def check(data, tmp_path):
    """Checks a network as a recipe's."""

    def run(model, **settings):
        options = {} if made_of_brevitas(model) else OPTIONS
        stage = {"kind": "quantize", "epochs": 0, **options, **settings}
        recipe = Recipe.model_validate(
            {
                "name": "net",
                "data": {"name": "digits"},
                "network": {"name": "mlp", "widths": [4]},
                "stages": [stage],
            }
        )
        torch.manual_seed(0)
        return check_recipe(recipe, PYNQ, data, model, tmp_path, tmp_path)

    return run


def middle(*layers, channels=8):
    return nn.Sequential(*unit(1, 8), *layers, *head(channels))


class Calls(nn.Module):
    """Activations and resizing as functions."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 1)
        self.third, self.last = nn.Conv2d(6, 4, 3), nn.Linear(4 * 36, 10)

    def forward(self, x):
        x = F.leaky_relu(self.first(x), 0.2)
        x = F.hardtanh(self.second(x), -0.5, 0.5)
        x = torch.tanh(self.third(F.interpolate(F.max_pool2d(x, 2, 1), scale_factor=2)))
        return self.last(torch.sigmoid(F.max_pool2d(x, 3, 1)).flatten(1))


class Joined(nn.Module):
    """A sum of a LeakyReLU and of a layer behind it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3), nn.LeakyReLU(0.1))
        self.body = nn.Sequential(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6))
        self.last = nn.Linear(6 * 36, 10)

    def forward(self, x):
        x = self.stem(x)
        return self.last(F.leaky_relu(x + self.body(x)).flatten(1))


PLAIN = {
    **TAKEN,
    "leaky_relu": lambda: middle(nn.Conv2d(8, 8, 1), nn.LeakyReLU(0.1)),
    "hardtanh": lambda: middle(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.Hardtanh()),
    "tanh": lambda: middle(nn.Conv2d(8, 8, 1), nn.Tanh()),
    "sigmoid": lambda: middle(nn.Conv2d(8, 8, 1), nn.Sigmoid()),
    "prelu": lambda: middle(nn.Conv2d(8, 8, 1), nn.PReLU(8), nn.Conv2d(8, 8, 1), nn.PReLU()),
    "elu": lambda: middle(nn.Conv2d(8, 8, 1), nn.ELU(0.7), nn.Conv2d(8, 8, 1), nn.SELU()),
    "softplus": lambda: middle(
        nn.Conv2d(8, 8, 1), nn.Softplus(), nn.Conv2d(8, 8, 1), nn.Hardsigmoid()
    ),
    "max pool with ceil_mode": lambda: middle(nn.MaxPool2d(3, ceil_mode=True)),
    "upsample": lambda: middle(nn.Upsample(scale_factor=2), *unit(8, 4), channels=4),
    "upsampling": lambda: middle(nn.UpsamplingNearest2d(scale_factor=2), *unit(8, 4), channels=4),
    "pool before batch norm": lambda: middle(
        nn.Conv2d(8, 8, 1), nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.ReLU()
    ),
    "padding same": lambda: nn.Sequential(nn.Conv2d(1, 5, 3, padding="same"), nn.ReLU(), *head(5)),
    "calls": Calls,
    "joined": Joined,
}


def identity(quantizer=Int8ActPerTensorFloat, **options):
    return qnn.QuantIdentity(quantizer, return_quant_tensor=True, **options)


def conv(inputs, outputs, kernel=1, **options):
    options = {"bias": False, "weight_bit_width": 4, **options}
    return qnn.QuantConv2d(inputs, outputs, kernel, **options)


def relu(quantizer=Uint8ActPerTensorFloat, bits=4, **options):
    return qnn.QuantReLU(quantizer, bit_width=bits, return_quant_tensor=True, **options)


def last(channels=4):
    return [nn.Flatten(), qnn.QuantLinear(64 * channels, 10, bias=True, weight_bit_width=4)]


def chain(*layers, end=None):
    return nn.Sequential(identity(), conv(1, 4), *layers, *(end or last()))


class Sum(nn.Module):
    """Two branches that a Brevitas layer adds, in a scale of its own."""

    def __init__(self, add):
        super().__init__()
        self.start = nn.Sequential(identity(), conv(1, 4), relu())
        self.body, self.add = conv(4, 4), add
        self.end = nn.Sequential(relu(), *last())

    def forward(self, x):
        x = self.start(x)
        return self.end(self.add(x, self.body(x)))


def rounding(mode):
    return relu(Uint8ActPerTensorFloat.let(float_to_int_impl_type=mode))


BREVITAS = {
    "QuantHardTanh": lambda: chain(
        qnn.QuantHardTanh(min_val=-1.0, max_val=1.0, return_quant_tensor=True)
    ),
    "QuantTanh": lambda: chain(qnn.QuantTanh(return_quant_tensor=True)),
    "QuantSigmoid": lambda: chain(qnn.QuantSigmoid(return_quant_tensor=True)),
    "signed ReLU": lambda: chain(relu(Int8ActPerTensorFloat)),
    "QuantEltwiseAdd": lambda: Sum(qnn.QuantEltwiseAdd(return_quant_tensor=True)),
    "LeakyReLU": lambda: chain(nn.LeakyReLU(0.1), identity()),
    "decoupled weights": lambda: chain(
        relu(), conv(4, 4, weight_quant=quantizers.Int8WeightNormL2PerChannelFixedPoint), relu()
    ),
    "rounding down": lambda: chain(rounding(FloatToIntImplType.FLOOR)),
    "rounding up": lambda: chain(rounding(FloatToIntImplType.CEIL)),
    "padding same": lambda: chain(relu(), conv(4, 4, 3, padding="same"), relu()),
    "pool before ReLU": lambda: chain(
        nn.MaxPool2d(2), relu(), end=[nn.Flatten(), qnn.QuantLinear(64, 10, bias=True)]
    ),
    "weights with a zero point": lambda: chain(
        relu(), conv(4, 4, weight_quant=ShiftedUint8WeightPerTensorFloat), relu()
    ),
}


def quantized(name):
    if name in BREVITAS:
        return BREVITAS[name]().eval()
    return quantize_network(PLAIN[name](), Quantize(kind="quantize", **OPTIONS), INPUT)


@pytest.mark.parametrize("make", [*PLAIN.values(), *BREVITAS.values()], ids=[*PLAIN, *BREVITAS])
def test_what_hardware_takes_passes_the_check(finn, check, make):
    found = check(make())
    assert found.ends is None
    assert found.layers[-1].rtl == "label"


@pytest.mark.parametrize("name", [*(n for n in PLAIN if n not in TAKEN), *BREVITAS])
def test_and_computes_what_the_software_computes(finn, tmp_path, name):
    torch.manual_seed(1)
    model = quantized(name)
    samples = 2 * torch.rand(48, *SHAPE) - 1
    calibrate(model, [samples])
    exported = export(model, SHAPE, tmp_path)
    agreement = check_agreement(model, exported, samples.numpy())
    assert agreement.undecided < agreement.samples
    network = normalised(onnx.load(str(exported.qonnx))).model
    onnx.save(network, str(tmp_path / "network.onnx"))
    hardware = lower(tmp_path / "network.onnx", CODE, Hardware(), PYNQ)
    case = Exported(network, CODE, SHAPE, 3)
    compare_emulator(case, hardware, case.codes(100))


class Sliced(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.first, self.last, self.part = nn.Sequential(*unit(1, 8)), nn.Linear(256, 10), part

    def forward(self, x):
        return self.last(torch.flatten(self.part(self.first(x)), 1))


class Mixed(nn.Module):
    """Codes of two scales side by side, and a layer behind."""

    def __init__(self):
        super().__init__()
        self.start = nn.Sequential(identity(), conv(1, 4), relu(bits=3))
        self.left, self.right = qnn.QuantReLU(bit_width=4), qnn.QuantReLU(bit_width=2)
        self.end = nn.Sequential(conv(8, 4), relu(), *last())

    def forward(self, x):
        x = self.start(x)
        return self.end(torch.cat([self.left(x), self.right(x)], 1))


CHANNELS = Uint8ActPerTensorFloat.let(
    scaling_per_output_type=ScalingPerOutputType.CHANNEL,
    per_channel_broadcastable_shape=(1, 4, 1, 1),
    scaling_stats_permute_dims=(1, 0, 2, 3),
)
REFUSED = [
    (lambda: middle(nn.Conv2d(8, 8, 3, groups=2)), "3: a convolution in 2 groups", "depthwise"),
    (lambda: middle(nn.Conv2d(8, 16, 3, groups=8), channels=16), "3: a convolution of 8", "keeps"),
    (lambda: middle(nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")), "3.pad: only", "zeros"),
    (lambda: middle(nn.GELU()), "3.erf: Erf", "supported are"),
    (lambda: middle(nn.ConvTranspose2d(8, 8, 2), nn.ReLU()), "3: ConvTranspose", "supported are"),
    (
        lambda: middle(nn.AvgPool2d(3, ceil_mode=True)),
        "3: an average pool with ceil",
        "ceil_mode=0",
    ),
    (
        lambda: middle(nn.AvgPool2d(3, padding=1, count_include_pad=False)),
        "3: an average pool that leaves its padding out",
        "count_include_pad=1",
    ),
    (
        lambda: middle(nn.AvgPool2d(2, divisor_override=3)),
        "layer 3: an average pool with divisor_override",
        "scale what comes after",
    ),
    (
        lambda: middle(nn.Upsample(scale_factor=2, mode="bilinear")),
        "3: a resize that is no repetition",
        "nearest",
    ),
    (
        lambda: Sliced(lambda x: (x * torch.relu(x))[:, :4]),
        "mul: Mul of two activations",
        "target: export",
    ),
    (lambda: middle(nn.Softmax(1)), "3: Softmax", "target: export"),
    (lambda: Sliced(lambda x: x[:, :4]), "getitem: Slice", "supported are"),
    (lambda: Sliced(lambda x: x.chunk(2, 1)[0]), "chunk: Slice", "target: export"),
    (lambda: Sliced(lambda x: x.permute(0, 2, 3, 1)[..., :4]), "Slice", "supported are"),
    (
        lambda: chain(relu(CHANNELS), conv(4, 4), relu()),
        "2.quant: an activation quantizer with one",
        "per tensor",
    ),
    *(
        (
            lambda mode=mode: chain(rounding(mode)),
            f"2.quant: the rounding mode {mode.name}",
            "FLOOR",
        )
        for mode in (
            FloatToIntImplType.ROUND_TO_ZERO,
            FloatToIntImplType.DPU,
            FloatToIntImplType.STOCHASTIC_ROUND,
        )
    ),
    (lambda: chain(relu(bits=9)), "2.quant: an activation of 9 bits", "8 bits"),
    (
        lambda: nn.Sequential(
            identity(),
            conv(1, 4, weight_quant=quantizers.Int8WeightPerChannelFloat),
            conv(4, 4),
            relu(),
            *last(),
        ),
        "2: its input is not quantized",
        "one scale for all channels",
    ),
    (lambda: chain(nn.ReLU(), conv(4, 4), relu()), "3: its input is not", "put a quantizer"),
    (lambda: chain(relu(), nn.Conv2d(4, 4, 1), relu()), "3: its weights are floats", "quantize"),
    (lambda: chain(conv(4, 4), relu()), "2: its input of", "quantizer in front"),
    (Mixed, "cat: concatenates codes of different scales", "one and the same"),
]


@pytest.mark.parametrize(("make", "says", "fix"), REFUSED, ids=[says for _, says, _ in REFUSED])
def test_what_it_does_not_take_is_refused_with_the_layers_name(finn, check, make, says, fix):
    with pytest.raises(RequestError) as caught:
        check(make())
    assert says in caught.value.message
    assert fix in caught.value.hint or "target: export" in caught.value.hint


def test_of_a_network_for_export_it_is_said_that_the_build_ends(check):
    found = check(middle(nn.GELU()), target="export")
    assert "target: export" in found.ends
    assert not found.layers
    real = Sliced(lambda x: x[:, :4].mean(1, keepdim=True).expand(-1, 4, -1, -1))
    assert "target: export" in check(real, target="export").ends


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.last = nn.MultiheadAttention(8, 2), nn.Linear(64, 10)

    def forward(self, x):
        x = x.flatten(1, 2)
        return self.last(self.attention(x, x, x)[0].flatten(1))


def test_attention_is_for_export(check):
    with pytest.raises(RequestError) as caught:
        check(Attending())
    assert "layer attention" in caught.value.message
    assert "target: export" in caught.value.hint
    assert check(Attending(), target="export").ends is not None


def test_a_network_that_can_not_be_traced_is_refused_for_hardware_only(check):
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(64, 10)

        def forward(self, x):
            return self.last(torch.flatten(x if x.sum() > 0 else -x, 1))

    with pytest.raises(RequestError, match="can't be traced"):
        check(Branching())
    assert check(Branching(), target="export").ends is not None


@pytest.mark.parametrize("option", [{"weight_bits": 3}, {"accumulator_bits": 16}])
def test_options_that_a_brevitas_network_says_itself_are_refused(check, option):
    with pytest.raises(RequestError, match="made of Brevitas layers"):
        check(chain(relu()), **option)


def test_what_the_host_runs_is_told_with_the_reason(finn, check):
    found = check(
        nn.Sequential(nn.LayerNorm(8), nn.Flatten(), nn.Linear(64, 10), nn.GELU(), nn.Softmax(1))
    )
    before, behind = found.host
    assert (before.place, behind.place) == ("before", "behind")
    assert before.operations[0][0].startswith("0")
    assert behind.operations[0][0].startswith("3")
    assert "can't be lowered" in behind.reason


def test_truncated_averages_and_blocks_keep_their_names(finn, check):
    pool = qnn.TruncAvgPool2d(8, trunc_quant=TruncTo8bit)
    end = [nn.Flatten(), qnn.QuantLinear(4, 10)]
    assert "3" in {layer.name for layer in check(chain(relu(), pool, end=end)).layers}
    blocks = nn.Sequential(*unit(1, 8), Block(8, 8), *head(8))
    names = {layer.name: layer.rtl for layer in check(blocks).layers}
    assert names["3.conv1"] == "conv1"
    assert names["3.conv2_windows"] == "conv2_windows"
    assert names["3.add"] == "add0"
    assert np.all([name in names for name in ("0", "3.conv1_thresholds", "6", "label")])
