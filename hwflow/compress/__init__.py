"""Compression: one module a stage, all behind one interface."""

from hwflow.compress.decompose import DecomposeStage
from hwflow.compress.prune import PruneStage
from hwflow.compress.quantize import QuantizeStage
from hwflow.compress.stage import (
    Stage,
    StageContext,
    StageOutcome,
    accuracy,
    load_checkpoint,
    save_checkpoint,
)
from hwflow.compress.train import TrainStage

STAGES = {
    "train": TrainStage(),
    "prune": PruneStage(),
    "distill": TrainStage(),
    "decompose": DecomposeStage(),
    "quantize": QuantizeStage(),
}

__all__ = [
    "STAGES",
    "Stage",
    "StageContext",
    "StageOutcome",
    "accuracy",
    "load_checkpoint",
    "save_checkpoint",
]
