"""Network `narrow`: one hidden layer."""

import math
from typing import Literal

from pydantic import Field
from torch import nn

from hwflow.networks import Builder
from hwflow.recipe import Network


class Narrow(Network):
    """One hidden layer."""

    name: Literal["narrow"]
    width: int = Field(8, ge=1, description="Neurons of the hidden layer.")


def build(spec, shape, classes, base):
    inputs = math.prod(shape)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, spec.width), nn.ReLU(), nn.Linear(spec.width, classes)
    )


SCHEMA = Narrow
BUILDER = Builder(Narrow, build)
