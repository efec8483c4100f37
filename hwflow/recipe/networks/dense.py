"""Options of DenseNet."""

from __future__ import annotations

from typing import Literal

from hwflow.recipe.network import Network


class DenseNet(Network):
    """DenseNet-BC of 100 layers and 12 new channels a layer, in its CIFAR form."""

    name: Literal["densenet100"]


SCHEMA = DenseNet
