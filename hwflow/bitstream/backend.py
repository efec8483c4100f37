"""What a back end that makes bitstreams is."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hwflow.board import Board
from hwflow.errors import ToolError
from hwflow.families import Family
from hwflow.processes.tools import Program


@dataclass(frozen=True)
class Bitstream:
    """A bitstream.

    Attributes:
        path: of the file.
        tool: what made it, with its version.
        fmax_mhz: the clock that it was found to bear.
    """

    path: Path
    tool: str
    fmax_mhz: float


class BitstreamBackend(ABC):
    """Makes bitstreams of RTL folders for the boards of some families.

    A module of `hwflow.bitstream`, or an entry point of that group, has an instance of a subclass
    as its `BACKEND`. One that makes bitstreams overrides `build`; until then hwflow says that it
    does not run the tools yet.

    Attributes:
        name: what it is called, and what families name (`Family.bitstreams`).
        programs: all that it runs.
        families: names of families that it serves beside those that name it.
    """

    name: ClassVar[str]
    programs: ClassVar[tuple[Program, ...]]
    families: ClassVar[tuple[str, ...]] = ()

    def serves(self, family: Family) -> bool:
        """Whether it is for parts of a family."""
        return self.name in family.bitstreams or family.name in self.families

    @property
    def runs(self) -> bool:
        """Whether hwflow runs it."""
        return type(self).build is not BitstreamBackend.build

    def missing(self) -> list[Program]:
        """Those of its programs that are not on PATH."""
        return [program for program in self.programs if program.path() is None]

    def why_not(self) -> str | None:
        """Why it makes no bitstream here and now, and how to get what it lacks; None if it does."""
        missing = self.missing()
        remedies = "; ".join(dict.fromkeys(program.remedy for program in missing))
        names = " and ".join(program.name for program in missing)
        absent = f"{names} {'is' if len(missing) == 1 else 'are'} not on PATH ({remedies})"
        idle = "hwflow does not run it yet"
        if self.runs:
            return absent if missing else None
        return f"{absent}, and {idle}" if missing else f"{self.name} is on PATH, but {idle}"

    def build(
        self,
        rtl: Path,
        board: Board,
        clock_mhz: float,
        folder: Path,
        note: Callable[[str], None] = lambda text: None,
    ) -> Bitstream:
        """Make a bitstream.

        Args:
            rtl: RTL folder of an accelerator.
            board: that it is for, of a family that is served.
            clock_mhz: clock to reach.
            folder: to work in, which exists.
            note: told how far it is.

        Raises:
            HwflowError: a tool fails, or the design does not fit or is too slow.
            ToolError: hwflow does not run it yet.
        """
        raise ToolError(f"hwflow does not run {self.name} yet", hint="use the sources in rtl/")
