"""Whether an accelerator fits a board."""

from __future__ import annotations

from collections.abc import Mapping

from hwflow import board as boards
from hwflow.board import Board
from hwflow.errors import HwflowError
from hwflow.facts.resources import Resources
from hwflow.families import RESOURCES

# Layers that a message names.
NAMED = 3
# A board that estimates exceed by this factor is not worth hours of synthesis.
HOPELESS = 2.0


def check_capacity(layers: Mapping[str, Resources], board: Board, tool: str) -> None:
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
        needed = sum(getattr(layer, resource) for layer in layers.values())
        if needed > available[resource]:
            costly = sorted(layers, key=lambda name: -getattr(layers[name], resource))[:NAMED]
            named = ", ".join(f"{name} {getattr(layers[name], resource):,}" for name in costly)
            problems.append(
                f"{needed:,} {resource.upper()} of {available[resource]:,} (most: {named})"
            )
    if problems:
        raise HwflowError(
            f"the design does not fit {board.name}: it needs {'; '.join(problems)} [{tool}]",
            hint="lower hardware.target_fps, use fewer bits or smaller layers, or a larger board",
        )


def check_estimates(estimates: Mapping[str, Resources], board: Board) -> None:
    """Fail before synthesis where even rough estimates say that a board is far too small.

    Args:
        estimates: of each layer.
        board: whose capacity counts.

    Raises:
        HwflowError: names what is short and the layers that need most.
    """
    generous = {k: int(HOPELESS * v) for k, v in board.resources.model_dump().items()}
    limited = board.model_copy(update={"resources": boards.Resources(**generous)})
    try:
        check_capacity(estimates, limited, "estimates")
    except HwflowError:
        check_capacity(estimates, board, "estimates")
