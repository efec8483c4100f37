"""Whether an accelerator fits a board."""

from __future__ import annotations

from collections.abc import Mapping

from hwflow.board import Board
from hwflow.errors import HwflowError, RequestError
from hwflow.facts.resources import Resources
from hwflow.families import RESOURCES

# Layers that a message names.
NAMED = 3
# By how much estimates may exceed a board before it is refused. Memories and multipliers follow
# from the folding; look-up tables and flip-flops are what synthesis makes of them.
SLACK = {"lut": 2.0, "ff": 2.0, "dsp": 1.25, "bram18": 1.25, "uram": 1.25}

HINT = (
    "lower hardware.target_fps, or pe and simd in the folding file, or use fewer bits, smaller"
    " layers, or a larger board"
)


def check_capacity(layers: Mapping[str, Resources], board: Board, tool: str) -> None:
    """Fail when synthesised layers need more than a board has.

    Args:
        layers: resources of each layer.
        board: whose capacity counts.
        tool: where the figures come from.

    Raises:
        HwflowError: what is short, by how much, and the layers that cost most.
    """
    short = _short(layers, board)
    if short:
        raise HwflowError(_message(layers, board, short, tool), hint=HINT)


def check_estimates(layers: Mapping[str, Resources], board: Board, source: str) -> None:
    """Refuse a board that even rough estimates exceed by far.

    Args:
        layers: estimates of each layer.
        board: whose capacity counts.
        source: what the estimates are of.

    Raises:
        RequestError: what is short, by how much, and the layers that need most.
    """
    if _short(layers, board, SLACK):
        short = _short(layers, board)
        raise RequestError(_message(layers, board, short, source), hint=HINT)


def _short(
    layers: Mapping[str, Resources], board: Board, slack: Mapping[str, float] | None = None
) -> dict[str, int]:
    """What layers need of each resource that they exceed a board by, times its slack."""
    needed = {key: sum(getattr(layer, key) for layer in layers.values()) for key in RESOURCES}
    allowed = {key: getattr(board.resources, key) * (slack or {}).get(key, 1) for key in RESOURCES}
    return {key: count for key, count in needed.items() if count > allowed[key]}


def _message(
    layers: Mapping[str, Resources], board: Board, short: Mapping[str, int], source: str
) -> str:
    needs = []
    for key, count in short.items():
        costly = sorted(layers, key=lambda name: -getattr(layers[name], key))[:NAMED]
        named = ", ".join(f"{name} {getattr(layers[name], key):,}" for name in costly)
        needs.append(
            f"{count:,} {key.upper()} of {getattr(board.resources, key):,} (most: {named})"
        )
    return f"the design does not fit {board.name}: it needs {'; '.join(needs)} [{source}]"
