"""The lint for FINN: each rule names the layer and says what to do, before any training."""

import brevitas.nn as qnn
import pytest
import torch
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int32Bias,
    ShiftedUint8ActPerTensorFloat,
    TruncTo8bit,
)
from torch import nn

from hwflow.compress import STAGES
from hwflow.compress.quantize.lint import violations
from hwflow.compress.quantize.lowering import why_not_lowered
from hwflow.compress.quantize.tracing import trace
from hwflow.errors import RequestError
from hwflow.recipe import Quantize
from tests.compress.quantize.networks import SHAPE, TAKEN, head, unit


def check(model, **settings):
    STAGES["quantize"].check(model, Quantize(kind="quantize", **settings), SHAPE)


@pytest.mark.parametrize("name", TAKEN)
def test_what_finn_takes_passes(name):
    check(TAKEN[name](), weight_scaling="per_channel")


def with_middle(*layers, channels=8):
    return nn.Sequential(*unit(1, 8), *layers, *head(channels))


@pytest.mark.parametrize(
    ("layer", "says", "fix"),
    [
        (nn.Conv2d(8, 8, 3, groups=2), "layer 3: a convolution of 2 groups of 4", "depthwise"),
        (nn.Conv2d(8, 16, 3, groups=8), "layer 3: a depthwise convolution of 8 to 16", "keep"),
        (nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), "layer 3: padding by", "zeros"),
        (nn.GELU(), "layer 3 is a GELU, which hardware does not take", "batch norm and ReLU"),
        (nn.LayerNorm(8), "layer 3 is a LayerNorm, which hardware", "batch norm and ReLU"),
        (nn.Sigmoid(), "layer 3 is a Sigmoid, which hardware does not take", "use Linear"),
        (nn.Softmax(1), "layer 3 is a Softmax, which hardware does not take", "use Linear"),
        (nn.AvgPool2d(3, ceil_mode=True), "layer 3: AvgPool2d with ceil_mode", "equal windows"),
        (
            nn.AvgPool2d(3, padding=1, count_include_pad=False),
            "layer 3: AvgPool2d with padding that does not count",
            "equal windows",
        ),
        (nn.AvgPool2d(2, divisor_override=3), "layer 3: AvgPool2d with divisor", "equal windows"),
        (nn.AdaptiveAvgPool2d(2), "layer 3: AdaptiveAvgPool2d of parts", "AvgPool2d of"),
    ],
)
def test_plain_layers_that_finn_does_not_take(layer, says, fix):
    channels = getattr(layer, "out_channels", 8)
    with pytest.raises(RequestError) as caught:
        check(with_middle(layer, channels=channels))
    assert says in caught.value.message
    assert fix in caught.value.message
    assert "target: export" in caught.value.hint
    check(with_middle(layer, channels=channels), target="export")


def test_a_pool_before_what_is_quantized_is_named():
    pooled = [nn.Conv2d(8, 8, 1), nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.ReLU()]
    with pytest.raises(RequestError, match="layer 4: a max pool of values that are not quantized"):
        check(with_middle(*pooled))


def test_all_that_is_wrong_is_listed():
    with pytest.raises(RequestError) as caught:
        check(with_middle(*[nn.GELU() for _ in range(7)]))
    assert caught.value.message.count("GELU") == 5
    assert "and 2 more" in caught.value.message


def test_what_the_host_runs_is_allowed_in_plain_networks():
    check(nn.Sequential(nn.LayerNorm(8), nn.Flatten(), nn.Linear(64, 10), nn.ReLU()))
    check(nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.GELU(), nn.Softmax(1)))


# ------------------------------------------------------- networks that are made of Brevitas layers


def conv(inputs, outputs, kernel=1, **options):
    return qnn.QuantConv2d(inputs, outputs, kernel, bias=options.pop("bias", False), **options)


def identity(quantizer=Int8ActPerTensorFloat, **options):
    return qnn.QuantIdentity(quantizer, return_quant_tensor=True, **options)


def relu(**options):
    return qnn.QuantReLU(return_quant_tensor=True, **options)


def last(channels=4):
    return [nn.AdaptiveAvgPool2d(1), identity(), nn.Flatten(), qnn.QuantLinear(channels, 10)]


def trunc(pool, **options):
    return pool(trunc_quant=TruncTo8bit, **options)


class Sum(nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.start, self.conv = identity(), conv(1, 4)
        self.first, self.second = first, second
        self.end = nn.Sequential(relu(), *last())

    def forward(self, x):
        x = self.conv(self.start(x))
        return self.end(self.first(x) + self.second(x))


class Parallel(nn.Module):
    """Two quantized layers side by side behind one quantizer, joined at the end."""

    def __init__(self, behind):
        super().__init__()
        self.start = nn.Sequential(identity(), nn.Flatten())
        self.first = nn.Sequential(qnn.QuantLinear(64, 10, bias=False), behind)
        self.second = qnn.QuantLinear(64, 10, bias=False)

    def forward(self, x):
        x = self.start(x)
        return self.first(x) + self.second(x)


SHARED = identity()


@pytest.mark.parametrize(
    ("model", "says", "fix"),
    [
        (
            nn.Sequential(
                identity(), conv(1, 4, weight_quant=Int8WeightPerChannelFloat), conv(4, 4), *last()
            ),
            "layer 2: it stands right behind 1, whose weights have one scale a channel",
            "signed QuantIdentity of 4 to 8 bits",
        ),
        (
            nn.Sequential(identity(), conv(1, 4), nn.BatchNorm2d(4), conv(4, 4), *last()),
            "layer 3: its input is not quantized",
            "QuantIdentity",
        ),
        (
            nn.Sequential(identity(), conv(1, 4), relu(bit_width=9), *last()),
            "layer 2: activations of 9 bits",
            "up to 8 bits",
        ),
        (
            nn.Sequential(identity(ShiftedUint8ActPerTensorFloat), conv(1, 4), relu(), *last()),
            "layer 0: a zero point other than 0",
            "symmetric",
        ),
        (
            nn.Sequential(identity(), conv(1, 4), qnn.QuantReLU(Int8ActPerTensorFloat), *last()),
            "layer 2: a ReLU of signed codes",
            "unsigned",
        ),
        (
            nn.Sequential(identity(), conv(1, 4), nn.MaxPool2d(2), relu(), *last()),
            "layer 2: a max pool of values that are not quantized",
            "before the pool",
        ),
        (
            nn.Sequential(
                identity(),
                conv(1, 4),
                relu(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                qnn.QuantLinear(4, 10),
            ),
            "layer 3: an average that is not quantized again",
            "QuantIdentity",
        ),
        (
            nn.Sequential(
                identity(),
                conv(1, 4),
                relu(),
                trunc(qnn.TruncAdaptiveAvgPool2d, output_size=1),
                nn.Flatten(),
                qnn.QuantLinear(4, 10),
            ),
            "layer 3: TruncAdaptiveAvgPool2d is not mapped",
            "AdaptiveAvgPool2d(1)",
        ),
        (
            nn.Sequential(
                identity(),
                conv(1, 4),
                relu(),
                trunc(qnn.TruncAvgPool2d, kernel_size=3, ceil_mode=True),
                *last(),
            ),
            "layer 3: TruncAvgPool2d with ceil_mode",
            "whole",
        ),
        (
            nn.Sequential(identity(), conv(1, 4), nn.AvgPool2d(2), identity(), *last()),
            "layer 2: an average of values that are not quantized",
            "QuantReLU",
        ),
        (
            nn.Sequential(
                identity(),
                conv(1, 4),
                relu(),
                qnn.TruncAvgPool2d(8),
                nn.Flatten(),
                qnn.QuantLinear(4, 10),
            ),
            "layer 3: TruncAvgPool2d rounds by ROUND",
            "floor",
        ),
        (Sum(identity(), identity()), "add: values of different scales", "one and the same"),
        (Sum(nn.Identity(), nn.Identity()), "add: values that are not quantized", "the same"),
        (
            nn.Sequential(identity(), conv(1, 4), relu(), nn.Conv2d(4, 4, 1), relu(), *last()),
            "layer 3 is not quantized",
            "Quant",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), conv(4, 4), relu(), *last()),
            "layer 0 is not quantized",
            "put a QuantIdentity between it and the first quantized layer",
        ),
        (Parallel(nn.GELU()), "layer first.1 is a GELU", "batch norm and ReLU"),
        (nn.Sequential(identity(), conv(1, 4), nn.ReLU(), *last()), "is a ReLU", "QuantReLU"),
    ],
)
def test_rules_that_only_brevitas_networks_break(model, says, fix):
    with pytest.raises(RequestError) as caught:
        check(model)
    assert says in caught.value.message
    assert fix in caught.value.message


@pytest.mark.parametrize(
    "model",
    [
        Sum(SHARED, SHARED),
        nn.Sequential(identity(), conv(1, 4), conv(4, 4), relu(), *last()),  # One scale a layer.
        nn.Sequential(
            identity(),
            conv(1, 4),
            relu(),
            trunc(qnn.TruncAvgPool2d, kernel_size=8),
            nn.Flatten(),
            qnn.QuantLinear(4, 10),
        ),
        nn.Sequential(
            identity(), conv(1, 4), relu(), trunc(qnn.TruncAvgPool2d, kernel_size=4), *last()
        ),
        nn.Sequential(identity(), conv(1, 4), relu(), nn.AvgPool2d(2), identity(), *last()),
        nn.Sequential(identity(), conv(1, 4, bias=True, bias_quant=Int32Bias), relu(), *last()),
        # What the host runs: float layers at both ends, and what hardware has no layer of.
        nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), relu(), conv(4, 4), relu(), *last()),
        nn.Sequential(
            nn.Conv2d(1, 4, 1), conv(4, 4, input_quant=Int8ActPerTensorFloat), relu(), *last()
        ),
        nn.Sequential(identity(), conv(1, 4), relu(), *last(), nn.GELU(), nn.Linear(10, 10)),
        nn.Sequential(identity(), conv(1, 4), relu(), *last(), nn.Softmax(1), relu()),
    ],
)
def test_what_brevitas_networks_may_do(model):
    check(model)
    assert not violations(trace(model))


def test_why_a_network_ends_after_its_export():
    settings = Quantize(kind="quantize")
    mlp = nn.Sequential(
        identity(), nn.Flatten(), qnn.QuantLinear(64, 8), relu(), qnn.QuantLinear(8, 10)
    )
    assert why_not_lowered(mlp, settings) is None
    wanted = Quantize(kind="quantize", target="export")
    assert why_not_lowered(mlp, wanted) == "the recipe's quantize stage has target: export"
    conv_net = nn.Sequential(identity(), conv(1, 4), relu(), *last())
    assert why_not_lowered(conv_net, settings) is None
    refused = nn.Sequential(identity(), nn.Flatten(), nn.Softmax(1), qnn.QuantLinear(64, 10))
    assert "layer 2 is a Softmax" in why_not_lowered(refused, wanted)


@pytest.mark.parametrize("option", [{"weight_bits": 3}, {"accumulator_bits": 16}])
def test_options_that_a_brevitas_network_says_itself_are_refused(option):
    with pytest.raises(RequestError, match="made of Brevitas layers"):
        check(nn.Sequential(identity(), nn.Flatten(), qnn.QuantLinear(64, 10)), **option)


def test_a_network_that_can_not_be_traced_is_refused_for_hardware_only():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(64, 10)

        def forward(self, x):
            return self.last(torch.flatten(x if x.sum() > 0 else -x, 1))

    with pytest.raises(RequestError, match="can't be traced"):
        check(Branching())
    check(Branching(), target="export")
