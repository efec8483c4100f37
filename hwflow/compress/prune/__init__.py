"""Pruning: movement, magnitude and hard concrete gates, of weights, blocks, channels, heads and
neurons; what is structured is taken out."""

from hwflow.compress.prune.stage import PruneStage

__all__ = ["STAGE", "PruneStage"]

STAGE = PruneStage()
