"""Networks that the host has a part in: float layers at both ends, whole and through all steps."""


import pytest

from tests.end_to_end.command import run

NETWORK = """
import brevitas.nn as qnn
from torch import nn


def build(shape, classes):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        qnn.QuantConv2d(4, 6, 3, bias=False, weight_bit_width=3),
        nn.BatchNorm2d(6),
        qnn.QuantReLU(bit_width=3, return_quant_tensor=True),
        nn.Flatten(),
        qnn.QuantLinear(6, 12, bias=False, weight_bit_width=4),
        nn.BatchNorm1d(12),
        nn.GELU(),
        nn.Linear(12, classes),
    )
"""
RECIPE = """
seed: 1
data: {name: digits}
network: {python: "net.py:build"}
stages:
  - {kind: quantize, epochs: 12, batch_size: 50, learning_rate: 0.005}
hardware: {synthesis: false}
verify: {rtl_frames: 40}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    (folder / "net.py").write_text(NETWORK)
    (folder / "host.yaml").write_text(RECIPE)
    return folder


def test_it(place):
    result = run("build", "host.yaml", "--board", "pynq-z2", cwd=place)
    print(result.out, result.err)
    assert result.code == 0
