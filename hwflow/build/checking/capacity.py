"""Whether the accelerator that was found can fit its board."""

from __future__ import annotations

from hwflow.board import Board
from hwflow.build.checking.outcome import Check
from hwflow.facts.resources import Resources


def check_fits(check: Check, board: Board) -> None:
    """Refuse a board that estimates exceed by far.

    Networks that training may yet make smaller than they were checked are not judged.

    Args:
        check: what was checked.
        board: it was checked for.

    Raises:
        RequestError: names what is short and the layers that need most.
    """
    from hwflow.synth.capacity import check_estimates

    if check.may_shrink:
        return
    layers = {layer.name: Resources(**layer.estimates.model_dump()) for layer in check.layers}
    check_estimates(layers, board, check.included)
