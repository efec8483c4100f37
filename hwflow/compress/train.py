"""Stage `train`: the float network."""

from __future__ import annotations

from typing import Any

from torch import nn

from hwflow.compress.stage import StageContext, StageOutcome, accuracy
from hwflow.compress.training import train
from hwflow.recipe import Train


class TrainStage:
    """Trains the network as it is."""

    def check(self, model: nn.Module, settings: Train) -> None:
        """Any network can be trained."""

    def run(self, model: nn.Module, settings: Train, context: StageContext) -> StageOutcome:
        """Train, and measure on validation and test."""
        train(model, settings, context)
        return StageOutcome(model.eval(), measure(model, context))

    def rebuild(self, model: nn.Module, settings: Train, structure: dict[str, Any]) -> nn.Module:
        """The network itself."""
        return model


def measure(model: nn.Module, context: StageContext) -> dict[str, float]:
    """Accuracy on the validation and the test split."""
    data = context.data
    return {
        "validation_accuracy": accuracy(model, data, data.validation),
        "test_accuracy": accuracy(model, data, data.test),
    }
