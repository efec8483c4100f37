"""Options of torchvision's networks."""

from __future__ import annotations

from pydantic import Field

from hwflow.recipe.network import Network


class TorchvisionNetwork(Network):
    """Any classifier of torchvision, its weights random."""

    torchvision: str = Field(description="Name of the network, such as resnet50.")


SCHEMA = TorchvisionNetwork
