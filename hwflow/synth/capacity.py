"""Whether an accelerator fits a board."""

from __future__ import annotations

from collections.abc import Mapping

from hwflow.board import Board
from hwflow.errors import HwflowError
from hwflow.families import RESOURCES

# Layers that a message names.
NAMED = 3


def check_capacity(layers: Mapping[str, Mapping[str, int]], board: Board, tool: str) -> None:
    """Fail when layers need more than a board has.

    Args:
        layers: resources of each layer.
        board: whose capacity counts.
        tool: where the figures come from.

    Raises:
        HwflowError: what is short, by how much, and the layers that cost most.
    """
    available = board.resources.model_dump()
    problems = []
    for resource in RESOURCES:
        needed = sum(layer.get(resource, 0) for layer in layers.values())
        if needed > available[resource]:
            costly = sorted(layers, key=lambda name: -layers[name].get(resource, 0))[:NAMED]
            named = ", ".join(f"{name} {layers[name][resource]:,}" for name in costly)
            problems.append(
                f"{needed:,} {resource.upper()} of {available[resource]:,} (most: {named})"
            )
    if problems:
        raise HwflowError(
            f"the design does not fit {board.name}: it needs {'; '.join(problems)} [{tool}]",
            hint="lower hardware.target_fps, use fewer bits or smaller layers, or a larger board",
        )
