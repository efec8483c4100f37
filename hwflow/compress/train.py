"""Stage `train`: the float network."""

from __future__ import annotations

from typing import Any

from torch import nn

from hwflow.compress.distillation import objective_for
from hwflow.compress.stage import StageContext, StageOutcome, measure
from hwflow.compress.training import train
from hwflow.recipe import Train


class TrainStage:
    """Trains the network as it is."""

    def check(self, model: nn.Module, settings: Train) -> None:
        """Any network can be trained."""

    def run(self, model: nn.Module, settings: Train, context: StageContext) -> StageOutcome:
        """Train, and measure on validation and test."""
        objective = objective_for(settings.distillation, model, context)
        train(model, settings, context, objective=objective)
        return StageOutcome(model.eval(), measure(model, context))

    def rebuild(self, model: nn.Module, settings: Train, structure: dict[str, Any]) -> nn.Module:
        """The network itself."""
        return model
