"""Compression: one module or package a stage, all behind one interface, and found."""

from hwflow.compress.stage import (
    STAGES,
    Stage,
    StageContext,
    StageOutcome,
    Untrained,
    accuracy,
    load_checkpoint,
    save_checkpoint,
    stage_of,
)

__all__ = [
    "STAGES",
    "Stage",
    "StageContext",
    "StageOutcome",
    "Untrained",
    "accuracy",
    "load_checkpoint",
    "save_checkpoint",
    "stage_of",
]
