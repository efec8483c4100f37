"""Resources: every node synthesised by itself, set against what a board has."""

from hwflow.synth.capacity import check_capacity
from hwflow.synth.nodes import BACKENDS, netlists, synthesize, tool, total

__all__ = ["BACKENDS", "check_capacity", "netlists", "synthesize", "tool", "total"]
