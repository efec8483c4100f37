"""Options of every stage that trains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwflow.recipe.distillation import Distillation
from hwflow.recipe.optimization import Optimization


class Training(Optimization):
    """Options of every stage that trains; each can learn from teachers too."""

    distillation: Distillation | None = Field(
        None, description="Teachers whose outputs the network learns from, beside the labels."
    )


class Train(Training):
    """Train the network as it is."""

    kind: Literal["train"]
