"""Options of learning from teachers, in any stage that trains, and of stage `distill`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hwflow.recipe.network import NetworkSpec
from hwflow.recipe.optimization import Optimization
from hwflow.recipe.section import Section


class Teacher(Section):
    """A network to learn from: an earlier stage's, or another one, trained here or from a file."""

    stage: str | None = Field(
        None, description="Earlier stage of this recipe whose network teaches: `train`, `01-train`."
    )
    network: NetworkSpec | None = Field(None, description="Another network that teaches.")
    train: Optimization | None = Field(None, description="How `network` is trained first.")
    checkpoint: str | None = Field(
        None,
        description="Weights of `network`: safetensors, or a torch state dict; relative to the"
        " recipe.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Teacher:
        if (self.stage is None) == (self.network is None):
            raise ValueError("give either stage or network")
        if self.network is None and (self.train is not None or self.checkpoint is not None):
            raise ValueError("train and checkpoint belong to network")
        if self.network is not None and (self.train is None) == (self.checkpoint is None):
            raise ValueError("give either train or checkpoint, for the teacher's weights")
        return self


class Distillation(Section):
    """Soft targets (Hinton 2015): alpha T^2 KL(teacher || student) + (1 - alpha) cross entropy."""

    teachers: tuple[Teacher, ...] = Field(
        min_length=1, description="Their softened outputs are averaged."
    )
    alpha: float = Field(
        0.9, ge=0, le=1, description="Weight of the teachers; 1 leaves the labels out."
    )
    temperature: float = Field(4.0, gt=0, description="T, that logits are divided by.")


class Distill(Optimization):
    """Train the network with teachers."""

    kind: Literal["distill"]
    distillation: Distillation = Field(description="Teachers and terms.")
