"""Resources: every node synthesised by itself, set against what a board has."""

from hwflow.synth.nodes import BACKENDS, netlists, synthesize, tool, total

__all__ = ["BACKENDS", "netlists", "synthesize", "tool", "total"]
