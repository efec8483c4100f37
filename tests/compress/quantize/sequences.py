"""Small networks with layers that FINN does not take and Brevitas quantizes, in plain torch.nn and
made of Brevitas layers."""

from __future__ import annotations

import brevitas.nn as qnn
import torch
from brevitas.quant import Int8ActPerTensorFloat
from torch import nn

from hwflow.networks.user import keep_one_cell


class Recurrent(nn.Module):
    """Pairs of an image's rows as a sequence."""

    def __init__(self, layer, width):
        super().__init__()
        self.layer, self.last = layer, nn.Linear(width, 10)

    def forward(self, x):
        return self.last(self.layer(x.reshape(-1, 4, 16))[0][:, -1])


class Attentive(nn.Module):
    def __init__(self, layer, last):
        super().__init__()
        self.layer, self.last = layer, last

    def forward(self, x):
        x = x.flatten(1, 2)
        return self.last(torch.flatten(x + self.layer(x, x, x)[0], 1))


class Transposed(nn.Module):
    def __init__(self, first, second, last):
        super().__init__()
        self.first, self.second, self.last = first, second, last

    def forward(self, x):
        return self.last(torch.flatten(torch.relu(self.second(torch.relu(self.first(x)))), 1))


class Encoder(nn.Module):
    """A transformer of torch.nn, which can't be traced."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        return self.last(self.encoder(x.flatten(1, 2)).flatten(1))


PLAIN = {
    "rnn": lambda: Recurrent(nn.RNN(16, 6, 2, batch_first=True, bidirectional=True), 12),
    "lstm": lambda: Recurrent(nn.LSTM(16, 6, batch_first=True), 6),
    "attention": lambda: Attentive(
        nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(64, 10)
    ),
    "transposed": lambda: Transposed(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),
        nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1),
        nn.Linear(256, 10),
    ),
    "encoder": Encoder,
}


OWN = {"input_quant": Int8ActPerTensorFloat}


def one_cell(layer):
    """As `build_user_network` leaves it."""
    keep_one_cell(layer)
    return layer


BREVITAS = {
    "linear": lambda: nn.Sequential(
        nn.Flatten(),
        qnn.QuantLinear(64, 16, **OWN),
        nn.ReLU(),
        qnn.QuantLinear(16, 10, **OWN),
    ),
    "conv": lambda: nn.Sequential(
        qnn.QuantConv2d(1, 4, 3, **OWN),
        nn.ReLU(),
        nn.Flatten(),
        qnn.QuantLinear(144, 10, **OWN),
    ),
    "rnn": lambda: Recurrent(one_cell(qnn.QuantRNN(16, 12, batch_first=True)), 12),
    "lstm": lambda: Recurrent(one_cell(qnn.QuantLSTM(16, 6, batch_first=True)), 6),
    "attention": lambda: Attentive(
        qnn.QuantMultiheadAttention(8, 2, batch_first=True), qnn.QuantLinear(64, 10)
    ),
    "transposed": lambda: Transposed(
        qnn.QuantConv2d(1, 4, 3, stride=2, padding=1, **OWN),
        qnn.QuantConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, **OWN),
        qnn.QuantLinear(256, 10, **OWN),
    ),
}
