"""Options of stage `distill`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from hwflow.recipe.distillation import Distillation
from hwflow.recipe.training import Training


class Distill(Training):
    """Train the network with teachers."""

    kind: Literal["distill"]
    distillation: Distillation = Field(description="Teachers and terms.")

    keeps_layers: ClassVar[bool] = True


SCHEMA = Distill
