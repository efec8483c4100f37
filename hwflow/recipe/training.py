"""Options of every stage that trains."""

from __future__ import annotations

from pydantic import Field

from hwflow.recipe.distillation import Distillation, Teacher
from hwflow.recipe.optimization import Optimization
from hwflow.recipe.stage import StageSettings


class Training(StageSettings, Optimization):
    """Options of every stage that trains; each can learn from teachers too."""

    distillation: Distillation | None = Field(
        None, description="Teachers whose outputs the network learns from, beside the labels."
    )

    @property
    def trains(self) -> bool:
        """Whether there is any epoch."""
        return self.epochs > 0

    @property
    def samples_a_step(self) -> int:
        """A batch."""
        return self.batch_size

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """The networks that the stage's network learns from."""
        return self.distillation.teachers if self.distillation is not None else ()
