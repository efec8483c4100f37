"""What a recipe asks of hardware: clock, cycles a frame, bits."""

from __future__ import annotations

import math

from hwflow.board import Board
from hwflow.costs.hardware import UNHURRIED, Target
from hwflow.errors import RequestError
from hwflow.recipe import Hardware, Recipe


def clock_mhz(hardware: Hardware, board: Board) -> float:
    """The clock to build for: the recipe's, else the board's."""
    return hardware.clock_mhz or board.clock_mhz


def target_cycles(hardware: Hardware, board: Board) -> int:
    """Cycles a frame that the recipe's `target_fps` leaves at its clock.

    Raises:
        RequestError: more frames a second than clock cycles.
    """
    if hardware.target_fps is None:
        return UNHURRIED
    cycles = math.floor(clock_mhz(hardware, board) * 1e6 / hardware.target_fps)
    if cycles < 1:
        raise RequestError(
            f"hardware.target_fps of {hardware.target_fps:g} is more than the clock's"
            f" {clock_mhz(hardware, board):g} MHz",
            hint="lower target_fps; a frame takes at least one cycle",
        )
    return cycles


def recipe_target(recipe: Recipe, board: Board) -> Target:
    """What a recipe asks for on a board: bits are those that its first quantizing stage will
    leave.

    Raises:
        RequestError: more frames a second than clock cycles.
    """
    cycles = target_cycles(recipe.hardware, board)
    bits = next((stage.bits for stage in recipe.stages if stage.bits is not None), None)
    return Target(cycles) if bits is None else Target(cycles, bits)
