"""A back end that packs an RTL folder's sources: what a bitstream is does not matter to hwflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hwflow.bitstream import Bitstream, BitstreamBackend
from hwflow.board import Board
from hwflow.errors import HwflowError
from hwflow.processes import run_process
from hwflow.processes.tools import Program


class Packer(BitstreamBackend):
    """Packs with tar, for a family that does not name it."""

    name = "packer"
    programs = (Program("tar", ("--version",), "install tar"),)
    families = ("virtex-7",)

    def build(
        self,
        rtl: Path,
        board: Board,
        clock_mhz: float,
        folder: Path,
        note: Callable[[str], None] = lambda text: None,
    ) -> Bitstream:
        """Pack the folder."""
        note("packing")
        file = folder / f"{board.name}.bit"
        done = run_process(["tar", "-cf", file, "-C", rtl, "."], cwd=folder, log=folder / "log")
        if done.code:
            raise HwflowError(f"tar failed: {done.tail(3)}", hint="see its log")
        return Bitstream(file, "tar", fmax_mhz=clock_mhz)


BACKEND = Packer()
