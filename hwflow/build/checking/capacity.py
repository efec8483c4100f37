"""Whether the accelerator that was found can fit its board."""

from __future__ import annotations

from hwflow import board as boards
from hwflow.board import Board
from hwflow.build.checking.outcome import Check
from hwflow.errors import HwflowError

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
        HwflowError: names what is short and the layers that need most.
    """
    from hwflow.facts.resources import Resources
    from hwflow.synth import check_capacity

    if found.may_shrink:
        return
    layers = {layer.name: Resources(**layer.estimates.model_dump()) for layer in found.layers}
    generous = {key: int(SLACK[key] * have) for key, have in board.resources.model_dump().items()}
    try:
        check_capacity(
            layers,
            board.model_copy(update={"resources": boards.Resources(**generous)}),
            found.included,
        )
    except HwflowError:
        check_capacity(layers, board, found.included)
