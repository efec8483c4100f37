"""Stages `train` and `distill`: the network as it is, with teachers or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from hwflow.compress.distillation import objective_for
from hwflow.compress.stage import StageContext, StageOutcome, Untrained, measure
from hwflow.compress.training import train
from hwflow.costs import Target
from hwflow.data import Dataset
from hwflow.recipe import Distill, Train


@dataclass(frozen=True)
class TrainStage:
    """Trains the network as it is; `distill` differs in that its teachers are no choice."""

    schema: type[Train] | type[Distill]

    def check(
        self, model: nn.Module, settings: Train | Distill, shape: tuple[int, ...] | None = None
    ) -> None:
        """Any network can be trained; `distillation.check_teachers` sees to who teaches it."""

    def run(
        self, model: nn.Module, settings: Train | Distill, context: StageContext
    ) -> StageOutcome:
        """Train, and measure on validation and test."""
        objective = objective_for(settings.distillation, model, context)
        train(model, settings, context, objective=objective)
        return StageOutcome(model.eval(), measure(model, context))

    def expected(
        self, before: Untrained, settings: Train | Distill, data: Dataset, target: Target
    ) -> Untrained:
        """The network itself."""
        return before

    def rebuild(
        self, model: nn.Module, settings: Train | Distill, structure: dict[str, Any]
    ) -> nn.Module:
        """The network itself."""
        return model


STAGE = (TrainStage(Train), TrainStage(Distill))
