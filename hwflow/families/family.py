"""What hwflow knows of an FPGA family."""

from __future__ import annotations

from dataclasses import dataclass

from hwflow.families.fabric import Fabric


@dataclass(frozen=True)
class Clock:
    """The clocks that a family's parts can have.

    Attributes:
        lowest: MHz, the least that its clock managers put out.
        highest: MHz, the most that its clock network carries, at the fastest speed grade.
        source: data sheet.
    """

    lowest: float
    highest: float
    source: str

    def problem(self, mhz: float) -> str | None:
        """Why parts can't be clocked so; None if they can."""
        if self.lowest <= mhz <= self.highest:
            return None
        return f"clocks are {self.lowest:g} to {self.highest:g} MHz ({self.source})"


@dataclass(frozen=True, eq=False)
class Family:
    """A family of FPGAs.

    Attributes:
        name: as board files give it.
        title: as its maker calls it.
        parts: what its part numbers begin with, in lower case.
        clock: limits of its clock.
        fabric: what its parts are made of.
        bitstreams: names of the back ends of `hwflow.bitstream` that make bitstreams for it.
    """

    name: str
    title: str
    parts: tuple[str, ...]
    clock: Clock
    fabric: Fabric
    bitstreams: tuple[str, ...] = ()

    def match(self, part: str) -> int:
        """How much of a part number says that it is of this family, in characters; 0: nothing."""
        begins = (len(prefix) for prefix in self.parts if part.lower().startswith(prefix))
        return max(begins, default=0)
