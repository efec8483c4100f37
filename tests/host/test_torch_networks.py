"""PyTorch networks whose ends the host runs: trained, exported, divided; and their files again,
imported."""

import brevitas.nn as qnn
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from hwflow.compress import STAGES, StageContext
from hwflow.compress.stage import accuracy
from hwflow.data import load
from hwflow.emulate import Emulator
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.exchange.importing import import_model, normalised
from hwflow.host import Software, divide
from hwflow.host.agreement import check_division
from hwflow.host.input_codes import accelerator_input, input_code
from hwflow.recipe import Digits, ImportedModel, Quantize
from tests.host.test_division import operations, specialised

SETTINGS = Quantize(kind="quantize", epochs=1, learning_rate=0.01)


def activation(bits=4):
    return qnn.QuantReLU(bit_width=bits, return_quant_tensor=True)


def norm_before():
    return nn.Sequential(
        nn.LayerNorm(8), nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10)
    )


def gelu_behind():
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10)),
        *(nn.GELU(), nn.Softmax(1)),
    )


def relu_at_the_end():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU())


def float_first():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), activation()),
        *(qnn.QuantConv2d(4, 6, 3, bias=False, weight_bit_width=3), activation(3), nn.Flatten()),
        qnn.QuantLinear(6, 10, bias=False, weight_bit_width=4),
    )


def float_last():
    quantizer = qnn.QuantIdentity(bit_width=5, return_quant_tensor=True)
    return nn.Sequential(
        *(quantizer, nn.Flatten(), qnn.QuantLinear(64, 12, bias=True, weight_bit_width=3)),
        *(nn.BatchNorm1d(12), activation(3), nn.Linear(12, 10)),
    )


def both():
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 3, padding=1), nn.SiLU(), qnn.QuantIdentity(return_quant_tensor=True)),
        *(qnn.QuantConv2d(3, 4, 3, stride=3, bias=False, weight_bit_width=4), nn.BatchNorm2d(4)),
        *(nn.GELU(), nn.Flatten(), nn.Linear(16, 10)),
    )


ENDS = {
    norm_before: ("Quant", None),
    gelu_behind: (None, "Softmax"),
    relu_at_the_end: (None, None),
    float_first: ("Quant", None),
    float_last: (None, "Gemm"),
    both: ("Quant", "Gemm"),
}


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


@pytest.fixture(params=ENDS, ids=lambda make: make.__name__)
def made(request, data, tmp_path):
    """The function that made the network, and the network, trained a little."""
    torch.manual_seed(0)
    stage, model = STAGES["quantize"], request.param()
    stage.check(model, SETTINGS, data.shape)
    return request.param, stage.run(model, SETTINGS, StageContext(data, 0, tmp_path)).model


def compare(network, whole, data, folder, normal=None):
    """Divide; emulator and software agree, and what comes out is what the network says.

    Args:
        normal: the normal form of `whole`, to divide in its place.
    """
    division = divide(whole if normal is None else normal.model, input_code(data))
    folder.mkdir()
    division.save(folder)
    software = Software(folder)
    if not division.is_simple:
        head = None if normal is None else normal.head
        check_division(whole, software, data, data.validation.part(0, 32), head)
    graph = specialised(division.graph)
    codes = accelerator_input(data, data.test, software, graph)
    outcome = software.run(data, data.test, codes)
    emulated = Emulator(graph).run(codes)
    assert np.array_equal(emulated, outcome.output(emulated.shape[1]))
    right = float(np.mean(software.classes(emulated) == data.test.labels))
    assert right == pytest.approx(accuracy(network, data, data.test), abs=1 / len(data.test) + 1e-9)
    return division


def test_what_they_compute_stays_the_same_when_they_are_divided(finn, data, tmp_path, made):
    make, network = made
    exported = export(network, data.shape, tmp_path)
    found = check_agreement(network, exported, data.floats(data.validation)[:64])
    assert max(found.qonnx_max_abs, found.qcdq_max_abs) < 1e-4
    whole = onnx.load(str(exported.qonnx))
    division = compare(network, whole, data, tmp_path / "divided")
    last = [None if p is None else operations(p)[-1] for p in (division.head, division.tail)]
    assert tuple(last) == ENDS[make]
    if make is gelu_behind:
        normal = normalised(whole)
        again = compare(network, whole, data, tmp_path / "normal", normal)
        assert normal.head == "Softmax"  # No operation of the host's any more.
        assert operations(again.tail) == operations(division.tail)[:-1]
    if make is both:
        for name, path in (("qonnx", exported.qonnx), ("qcdq", exported.qcdq)):
            normal = import_model(path, ImportedModel(qonnx=path.name)).normal.model
            again = compare(network, normal, data, tmp_path / name)
            assert operations(again.head) == operations(division.head)
            assert operations(again.tail)[-1] == "Gemm"
