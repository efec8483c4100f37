"""Networks and contexts that the tests of distillation share."""

from __future__ import annotations

import torch
from torch import nn

from hwflow.compress.distillation import DistilledLoss
from hwflow.compress.distillation.hints import layer_terms
from hwflow.recipe.distillation import Distillation, Teacher

SHAPE, CLASSES = (2, 8, 8), 5


class Net(nn.Module):
    """Two convolutions with batch norm and dropout, and a classifier."""

    def __init__(self, width: int = 6, pool: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(SHAPE[0], width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(pool)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(2 * width, CLASSES)
        self.unused = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.norm(self.conv1(x))))
        x = torch.relu(self.conv2(x)).mean((2, 3))
        return self.fc(self.drop(x))


def net(seed: int, width: int = 6, pool: int = 2) -> Net:
    """A network in eval mode whose batch norm has seen data."""
    torch.manual_seed(seed)
    model = Net(width, pool)
    model(torch.randn(64, *SHAPE))
    return model.eval()


def settings(count: int = 1, **changes: object) -> Distillation:
    """Of teachers that are given otherwise."""
    return Distillation.model_validate(
        {"teachers": tuple(Teacher(stage="train") for _ in range(count)), **changes}
    )


def loss_of(student: nn.Module, teachers: list[nn.Module], **changes: object) -> DistilledLoss:
    """The objective of a student and its teachers."""
    found = settings(len(teachers), **changes)
    torch.manual_seed(0)
    return DistilledLoss(found, teachers, layer_terms(found, student, teachers, SHAPE))
