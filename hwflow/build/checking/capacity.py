"""Whether the accelerator that was found can fit its board."""

from __future__ import annotations

from collections.abc import Mapping

from hwflow import board as boards
from hwflow.board import Board
from hwflow.build.checking.outcome import Check
from hwflow.errors import HwflowError, RequestError
from hwflow.facts.resources import Resources

# By how much estimates may exceed a board before it is refused. Memories and multipliers follow
# from the folding; look-up tables are what synthesis makes of them.
SLACK = {"lut": 2.0, "ff": 2.0, "dsp": 1.25, "bram18": 1.25, "uram": 1.25}


def check_fits(found: Check, board: Board) -> None:
    """Refuse a board that estimates exceed by far.

    Networks that training may yet make smaller than they were checked are not judged.

    Args:
        found: what was checked.
        board: it was checked for.

    Raises:
        RequestError: names what is short and the layers that need most.
    """
    if found.may_shrink:
        return
    layers = {layer.name: Resources(**layer.estimates.model_dump()) for layer in found.layers}
    generous = {key: int(SLACK[key] * have) for key, have in board.resources.model_dump().items()}
    limited = board.model_copy(update={"resources": boards.Resources(**generous)})
    if _short(layers, limited, found.included) is None:
        return
    short = _short(layers, board, found.included)
    assert short is not None
    raise RequestError(short.message, hint=short.hint)


def _short(layers: Mapping[str, Resources], board: Board, tool: str) -> HwflowError | None:
    """What layers need more of than a board has, if anything."""
    from hwflow.synth import check_capacity

    try:
        check_capacity(layers, board, tool)
    except HwflowError as error:
        return error
    return None
