"""What a recipe asks of hardware: clock, cycles a frame, bits."""

from __future__ import annotations

import math

from hwflow.board import Board
from hwflow.costs.hardware import UNHURRIED, Target
from hwflow.errors import RequestError
from hwflow.families import family
from hwflow.recipe import Hardware, Recipe


def clock_mhz(hardware: Hardware, board: Board) -> float:
    """The clock to build for: the recipe's, else the board's.

    Raises:
        RequestError: the board's family has no such clock.
    """
    if hardware.clock_mhz is None:
        return board.clock_mhz
    problem = family(board.family).clock.problem(hardware.clock_mhz)
    if problem:
        raise RequestError(
            f"hardware.clock_mhz of {hardware.clock_mhz:g} is not possible on {board.name}:"
            f" {board.family}'s {problem}",
            hint=f"give one between these, or leave it out for the board's {board.clock_mhz:g} MHz",
        )
    return hardware.clock_mhz


def target_cycles(hardware: Hardware, board: Board) -> int:
    """Cycles a frame that the recipe's `target_fps` leaves at its clock.

    Raises:
        RequestError: more frames a second than clock cycles, or a clock that can't be.
    """
    clock = clock_mhz(hardware, board)
    if hardware.target_fps is None:
        return UNHURRIED
    cycles = math.floor(clock * 1e6 / hardware.target_fps)
    if cycles < 1:
        raise RequestError(
            f"hardware.target_fps of {hardware.target_fps:g} is more than the clock's"
            f" {clock:g} MHz",
            hint="lower target_fps; a frame takes at least one cycle",
        )
    return cycles


def recipe_target(recipe: Recipe, board: Board) -> Target:
    """What a recipe asks for on a board: bits are those that its first quantizing stage will
    leave.

    Raises:
        RequestError: more frames a second than clock cycles, or a clock that can't be.
    """
    fabric = family(board.family).fabric
    cycles = target_cycles(recipe.hardware, board)
    bits = next((stage.bits for stage in recipe.stages if stage.bits is not None), None)
    return Target(cycles, fabric=fabric) if bits is None else Target(cycles, bits, fabric)
