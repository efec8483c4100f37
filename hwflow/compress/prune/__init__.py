"""Pruning: movement, magnitude and hard concrete gates, of weights, blocks, channels, heads and
neurons; what is structured is taken out."""

from hwflow.compress.prune.stage import PruneStage, check_pruning

__all__ = ["STAGE", "PruneStage", "check_pruning"]

STAGE = PruneStage()
