"""Small networks of each kind of coupling."""

from __future__ import annotations

import torch
from torch import nn

IMAGE, SERIES, TOKENS = (3, 12, 12), (2, 40), (6,)


def mlp() -> nn.Module:
    """Linear layers with batch norm, one of them without parameters; a sigmoid; PReLU."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(432, 24, bias=False),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Linear(24, 16),
        nn.BatchNorm1d(16, affine=False),
        nn.Sigmoid(),
        nn.Linear(16, 20),
        nn.PReLU(20),
        nn.Dropout(0.2),
        nn.Linear(20, 5),
    )


def plain() -> nn.Module:
    """Convolutions, pooled and flattened."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 24, (3, 1), stride=2, padding=(1, 0)),
        nn.BatchNorm2d(24),
        nn.ReLU6(),
        nn.Flatten(),
        nn.Linear(24 * 9, 16),
        nn.ReLU(),
        nn.Linear(16, 5),
    )


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.shortcut(x))


def residual() -> nn.Module:
    """Residual blocks, one with a convolution in its shortcut."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Residual(16, 16, 1),
        Residual(16, 24, 2),
        Residual(24, 24, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 5),
    )


class Growing(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


def dense() -> nn.Module:
    """Concatenations; the first takes in the network's input, which can't be pruned."""
    return nn.Sequential(
        Growing(3, 8),
        Growing(11, 8),
        Growing(19, 8),
        nn.BatchNorm2d(27),
        nn.ReLU(),
        nn.Conv2d(27, 16, 1),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 36, 5),
    )


class Crossed(nn.Module):
    """A convolution added to the concatenation of two others: their channels are its."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Conv2d(3, 24, 3, padding=1)
        self.left = nn.Conv2d(3, 8, 1)
        self.right = nn.Conv2d(3, 16, 1)
        self.last = nn.Conv2d(24, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([self.left(x), self.right(x)], 1) + self.both(x)
        return self.head(self.last(torch.relu(y)).mean((2, 3)))


def separable() -> nn.Module:
    """Depthwise convolutions, one with two filters a channel, and a grouped one."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 1),
        nn.Hardswish(),
        nn.Conv2d(24, 48, 3, groups=24),
        nn.ReLU(),
        nn.Conv2d(48, 32, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, groups=8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 5),
    )


def series() -> nn.Module:
    """1-D convolutions."""
    return nn.Sequential(
        nn.Conv1d(2, 16, 5, bias=False),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(16, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 16, 24),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Linear(24, 5),
    )


class Attending(nn.Module):
    """Rows of an image as a sequence: torch's attention, alone and in an encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(36, 24)
        self.attention = nn.MultiheadAttention(24, 6, batch_first=True)
        self.encoder = nn.TransformerEncoderLayer(24, 3, 40, batch_first=True)
        self.crossing = nn.MultiheadAttention(24, 4, kdim=36, vdim=36, bias=False)
        self.head = nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        y = self.embed(rows)
        y = self.encoder(y + self.attention(y, y, y, need_weights=False)[0])
        z, other = y.transpose(0, 1), rows.transpose(0, 1)
        return self.head((z + self.crossing(z, other, other)[0]).mean(0))


class Tokens(nn.Module):
    """BERT, small, with random weights."""

    input_dtype = torch.int64

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertForSequenceClassification

        self.bert = BertForSequenceClassification(
            BertConfig(
                vocab_size=20,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=48,
                max_position_embeddings=8,
                num_labels=5,
            )
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.bert(input_ids=tokens).logits
        return logits


class Gated(nn.Module):
    """A gate of all channels together: it sees a masked channel, and not one that is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.gated, self.free = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.gated(x))
        y = torch.relu(self.free(y * torch.sigmoid(y.sum(1, keepdim=True))))
        return self.head(y.mean((2, 3)))


class Rotating(nn.Module):
    """Llama, small, with random weights: rotated heads without a number of them, gated neurons."""

    input_dtype = torch.int64

    def __init__(self, key_heads: int = 4) -> None:
        super().__init__()
        from transformers import LlamaConfig, LlamaForSequenceClassification

        self.llama = LlamaForSequenceClassification(
            LlamaConfig(
                vocab_size=20,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=key_heads,
                intermediate_size=48,
                max_position_embeddings=8,
                num_labels=5,
                pad_token_id=0,
            )
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.llama(input_ids=tokens).logits
        return logits


NETWORKS = {
    "mlp": (mlp, IMAGE),
    "plain": (plain, IMAGE),
    "residual": (residual, IMAGE),
    "dense": (dense, IMAGE),
    "crossed": (Crossed, IMAGE),
    "separable": (separable, IMAGE),
    "series": (series, SERIES),
    "attending": (Attending, IMAGE),
    "gated": (Gated, IMAGE),
    "tokens": (Tokens, TOKENS),
    "rotating": (Rotating, TOKENS),
}
