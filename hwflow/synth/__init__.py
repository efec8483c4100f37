"""Resources: every node synthesised by open tools, set against what a board has."""

from hwflow.synth.capacity import check_capacity
from hwflow.synth.yosys import netlists, synthesize, tool, total

__all__ = ["check_capacity", "netlists", "synthesize", "tool", "total"]
