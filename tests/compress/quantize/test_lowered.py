"""Brevitas networks bit by bit as hardware: averages, truncation, quantized biases."""

import brevitas.nn as qnn
import onnx
import pytest
import torch
from brevitas.quant import Int8WeightPerChannelFloat, Int16Bias, Int32Bias, TruncTo8bit
from torch import nn

from hwflow.compress.quantize.calibration import calibrate
from hwflow.dataflow.integers import InputCode
from hwflow.dataflow.lower import lower
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.recipe import Hardware
from tests.compress.quantize.networks import SHAPE
from tests.support.fuzzing.brevitas_network import ENCODING, Exported
from tests.support.fuzzing.case import Case
from tests.support.fuzzing.check import compare_emulator, compare_rtl
from tests.support.hardware import PYNQ

CODE = InputCode(ENCODING.scale, ENCODING.offset, ENCODING.minimum, ENCODING.maximum)


def network(*middle, channels=4):
    """Six-bit input, a convolution, what is tested, and a linear layer."""
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=6, return_quant_tensor=True),
        qnn.QuantConv2d(1, 4, 3, bias=False, weight_bit_width=3),
        qnn.QuantReLU(bit_width=3, return_quant_tensor=True),
        *middle,
        nn.Flatten(),
        qnn.QuantLinear(channels, 3, bias=True, weight_bit_width=3),
    )


def identity(bits=4):
    return qnn.QuantIdentity(bit_width=bits, return_quant_tensor=True)


def truncated(kernel, bits, **options):
    return qnn.TruncAvgPool2d(kernel, trunc_quant=TruncTo8bit, bit_width=bits, **options)


def biased(kind, groups=1, **options):
    return [
        qnn.QuantConv2d(
            4, 4, 3, bias=True, bias_quant=kind, groups=groups, weight_bit_width=3, **options
        ),
        qnn.QuantReLU(bit_width=2, return_quant_tensor=True),
    ]


NETWORKS = {
    "averages": lambda: network(nn.AvgPool2d(2), identity(), channels=36),
    "padded averages": lambda: network(nn.AvgPool2d(3, 2, 1), identity(), channels=36),
    "truncated averages": lambda: network(truncated(2, 3), channels=36),
    "truncated overlapping averages": lambda: network(truncated(3, 4, stride=2), channels=16),
    "32-bit bias": lambda: network(*biased(Int32Bias), channels=64),
    "16-bit bias of a depthwise layer": lambda: network(
        *biased(Int16Bias, 4, weight_quant=Int8WeightPerChannelFloat), channels=64
    ),
    "truncated averages, averages and a bias": lambda: network(
        truncated(3, 3, stride=1),
        *biased(Int16Bias, padding=1),
        nn.AvgPool2d(2),
        identity(),
        channels=16,
    ),
}


@pytest.fixture
def lowered(finn, tmp_path):
    """Makes the network of a name: its export and its hardware graph."""

    def make(name):
        torch.manual_seed(3)
        model = NETWORKS[name]()
        samples = 2 * torch.rand(48, *SHAPE) - 1
        calibrate(model, [samples])
        exported = export(model, SHAPE, tmp_path)
        agreement = check_agreement(model, exported, samples.numpy())
        assert agreement.undecided <= 2
        assert (exported.qcdq is None) == name.startswith("truncated")
        file = onnx.load(str(exported.qonnx))
        hardware = lower(exported.qonnx, CODE, Hardware(), PYNQ)
        return Exported(file, CODE, SHAPE, 3), hardware

    return make


@pytest.mark.parametrize("name", NETWORKS)
def test_the_emulator_computes_what_the_software_computes(lowered, name):
    exported, hardware = lowered(name)
    compare_emulator(exported, hardware, exported.codes(200))
    if "average" in name:
        assert "Pool_rtl" in {node.op_type for node in hardware.model.graph.node}


def test_the_rtl_computes_what_the_emulator_computes(lowered, models):
    exported, hardware = lowered("truncated averages, averages and a bias")
    case = Case(None, rtl=True, source=30, sink=50, fifos=1)
    compare_rtl(case, hardware, exported.codes(5), models)
