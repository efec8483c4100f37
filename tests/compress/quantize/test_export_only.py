"""Networks that FINN never takes: quantized, trained, kept and exported."""

from __future__ import annotations

import brevitas.nn as qnn
import pytest
import torch
from torch import nn

from hwflow.compress import STAGES, StageContext, load_checkpoint, save_checkpoint
from hwflow.data import load
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.networks import without_copies
from hwflow.recipe import Digits, Quantize

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


class Sequence(nn.Module):
    """A recurrent layer over two halves of an image."""

    def __init__(self, kind):
        super().__init__()
        self.layer, self.last = kind(32, 6, batch_first=True), nn.Linear(6, 10)

    def forward(self, x):
        return self.last(self.layer(x.reshape(-1, 2, 32))[0][:, -1])


class Attention(nn.Module):
    """Attention between the rows of an image."""

    def __init__(self, kind):
        super().__init__()
        self.layer, self.last = kind(8, 2, batch_first=True), nn.Linear(64, 10)

    def forward(self, x):
        x = x.flatten(1, 2)
        return self.last(self.layer(x, x, x)[0].flatten(1))


def transposed(kind=nn.ConvTranspose2d):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        kind(4, 2, 2, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def of_brevitas():
    return nn.Sequential(
        qnn.QuantIdentity(return_quant_tensor=True),
        qnn.QuantConv2d(1, 4, 3, stride=2, padding=1, weight_bit_width=4),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        qnn.QuantConvTranspose2d(4, 2, 2, stride=2, weight_bit_width=4),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        nn.Flatten(),
        qnn.QuantLinear(128, 10, True, weight_bit_width=4),
    )


NETWORKS = {
    "RNN": lambda: Sequence(nn.RNN),
    "LSTM": lambda: Sequence(nn.LSTM),
    "MultiheadAttention": lambda: Attention(nn.MultiheadAttention),
    "ConvTranspose2d": transposed,
    "QuantRNN": lambda: without_copies(Sequence(qnn.QuantRNN)),
    "QuantLSTM": lambda: without_copies(Sequence(qnn.QuantLSTM)),
    "QuantMultiheadAttention": lambda: Attention(qnn.QuantMultiheadAttention),
    "QuantConvTranspose2d": of_brevitas,
}


def made(name, seed=0):
    torch.manual_seed(seed)
    return NETWORKS[name]()


@pytest.mark.parametrize(
    ("name", "epochs"),
    [*((name, 1) for name in NETWORKS), ("RNN", 0), ("MultiheadAttention", 0), ("QuantLSTM", 0)],
)
def test_they_train_are_kept_and_both_files_agree(data, tmp_path, name, epochs):
    settings = Quantize(kind="quantize", epochs=epochs, learning_rate=0.01)
    stage = STAGES["quantize"]
    stage.check(made(name), settings)
    context = StageContext(data, 0, tmp_path)
    outcome = stage.run(made(name), settings, context)

    save_checkpoint(tmp_path, outcome)
    again = load_checkpoint(tmp_path, stage, made(name, seed=5), settings)
    inputs = data.floats(data.validation)[:32]
    logits = outcome.model(torch.from_numpy(inputs))
    assert torch.equal(again.model(torch.from_numpy(inputs)), logits)
    assert logits.std(0).min() > 0

    exported = export(again.model, data.shape, tmp_path / "export")
    agreement = check_agreement(again.model, exported, inputs)
    assert agreement.undecided < agreement.samples
    assert max(agreement.qonnx_max_abs, agreement.qcdq_max_abs) < 1e-4


@pytest.mark.parametrize("name", ["RNN", "LSTM"])
def test_weights_of_recurrent_layers_are_taken_over(data, tmp_path, name):
    """At eight bits, what the quantized layer computes is near the float one."""
    model = made(name)
    settings = Quantize(kind="quantize", epochs=0, weight_bits=8, activation_bits=8)
    outcome = STAGES["quantize"].run(model, settings, StageContext(data, 0, tmp_path))
    inputs = torch.from_numpy(data.floats(data.test))
    with torch.inference_mode():
        wanted, got = model.eval()(inputs), outcome.model(inputs)
    assert (wanted - got).abs().mean() < 0.1 * wanted.std()
