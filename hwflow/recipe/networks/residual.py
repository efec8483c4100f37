"""Options of residual networks."""

from __future__ import annotations

from typing import Literal

from hwflow.recipe.network import Network


class Residual(Network):
    """Residual networks in their CIFAR forms, adapted to the image size."""

    name: Literal[
        "resnet8",
        "resnet18",
        "resnet20",
        "preresnet110",
        "wide_resnet28_10",
        "resnext29_8x64d",
    ]


SCHEMA = Residual
