"""Small networks that have what the quantizing pass must know."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

SHAPE = (1, 8, 8)


def unit(inputs, outputs, kernel=3, **options):
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def head(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def chain():
    """Plain, strided, dilated and depthwise convolutions, a max pool, dropout."""
    return nn.Sequential(
        *unit(1, 8),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, stride=2, padding=2, dilation=2),
        nn.ReLU(),
        *unit(8, 8, groups=8),
        *unit(8, 12, 1),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(48, 10),
    )


def chain_1d():
    return nn.Sequential(
        nn.Flatten(2),
        nn.Conv1d(1, 6, 3, padding=1),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.MaxPool1d(4),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class Residual(nn.Module):
    """Chained blocks, with an identity and with a projection, and a functional average pool."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(*unit(1, 8))
        self.blocks = nn.Sequential(Block(8, 8), Block(8, 8), Block(8, 12, 2))
        self.linear = nn.Linear(12, 10)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.linear(torch.flatten(F.avg_pool2d(x, 4), 1))


class PreActivation(nn.Module):
    """Sums that meet sums, without a ReLU between."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.bodies = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
            for _ in range(2)
        )
        self.head = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), *head(8))

    def forward(self, x):
        x = self.stem(x)
        for body in self.bodies:
            x = x + body(x)
        return self.head(x)


class Dense(nn.Module):
    """Concatenations of concatenations, and of ReLUs."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.first = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
        self.second = nn.Sequential(nn.BatchNorm2d(10), nn.ReLU(), nn.Conv2d(10, 4, 3, padding=1))
        self.left, self.right = nn.Sequential(*unit(14, 4)), nn.Sequential(*unit(14, 4, 1))
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([x, self.first(x)], 1)
        x = torch.cat([x, self.second(x)], 1)
        x = torch.cat([self.left(x), F.max_pool2d(self.right(x), 3, 1, 1)], dim=1)
        return self.last(x.mean([2, 3]))


def pool_first():
    """Batch norm, pool, ReLU: the pool stands before the quantizer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 1),
        nn.ReLU(),
        *head(8),
    )


def factors():
    """A Tucker chain, a CP chain and two factors of a linear layer."""
    return nn.Sequential(
        *unit(1, 8),
        nn.Conv2d(8, 4, 1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.Conv2d(4, 8, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 4, 1, bias=False),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.Conv2d(4, 8, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 8, bias=False),
        nn.Linear(8, 10),
    )


def averages():
    """Average pools of parts of an image, one with padding that counts."""
    return nn.Sequential(
        *unit(1, 8),
        nn.AvgPool2d(2),
        *unit(8, 8),
        nn.AvgPool2d(3, 2, 1),
        nn.Conv2d(8, 8, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


class MeetsItself(nn.Module):
    """Values that are added to themselves, and beside themselves."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3)
        self.head = nn.Sequential(*head(16))

    def forward(self, x):
        x = F.relu(self.first(x))
        x = F.relu(self.second(x + x))
        return self.head(torch.cat([x, x], 1))


def ends_in_average():
    """Classes are channels, averaged over the image, as in networks in networks."""
    layers = [*unit(1, 8), nn.Conv2d(8, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


TAKEN = {
    "averages": averages,
    "chain": chain,
    "chain_1d": chain_1d,
    "residual": Residual,
    "pre_activation": PreActivation,
    "dense": Dense,
    "pool_first": pool_first,
    "factors": factors,
    "ends_in_average": ends_in_average,
    "meets_itself": MeetsItself,
}
