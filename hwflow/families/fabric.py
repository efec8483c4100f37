"""What the parts of one or several families are made of, and what makes netlists of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from hwflow.errors import HwflowError
from hwflow.families.memories import Memories

RESOURCES = ("lut", "ff", "dsp", "bram18", "uram")


@dataclass(frozen=True, eq=False)
class Cells:
    """What the cells of a netlist take, by their types.

    Attributes:
        lut, dsp, bram18, uram: cells that take these, and how many.
        ff: flip-flops.
        free: cells that are part of what others take: carry chains and wide multiplexers of
            slices, constants.
    """

    lut: Mapping[str, int]
    ff: frozenset[str]
    dsp: Mapping[str, int]
    bram18: Mapping[str, int]
    uram: Mapping[str, int] = field(default_factory=dict)
    free: frozenset[str] = frozenset()

    def count(self, cells: Mapping[str, int]) -> dict[str, int]:
        """Resources that a netlist takes.

        Args:
            cells: number of cells of each type.

        Returns:
            lut, ff, dsp, bram18 and uram.

        Raises:
            HwflowError: there is a cell that the fabric has not.
        """
        total: Counter[str] = Counter(dict.fromkeys(RESOURCES, 0))
        unknown = []
        for kind, number in cells.items():
            taken = self._taken(kind)
            if taken is None:
                unknown.append(kind)
                continue
            for resource, each in taken.items():
                total[resource] += each * number
        if unknown:
            raise HwflowError(
                f"the netlist holds {', '.join(sorted(unknown))}, of which the cost is not known",
                hint="add these cells to the fabric's in hwflow/families",
            )
        return dict(total)

    def _taken(self, kind: str) -> dict[str, int] | None:
        """What a cell takes; None of one that is not known."""
        by_resource: dict[str, Mapping[str, int]] = {
            "lut": self.lut,
            "dsp": self.dsp,
            "bram18": self.bram18,
            "uram": self.uram,
            "ff": dict.fromkeys(self.ff, 1),
        }
        taken = {name: costs[kind] for name, costs in by_resource.items() if kind in costs}
        return taken if taken or kind in self.free else None


@dataclass(frozen=True)
class LibraryPatch:
    """A change to a file of Yosys' library, in a copy of it.

    Attributes:
        file: path in Yosys' share folder.
        reason: what is wrong with it.
        old, new: text that occurs exactly once, and what replaces it.
    """

    file: str
    reason: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """The text of the file, changed.

        Raises:
            HwflowError: it is not the file that the patch was written for.
        """
        if text.count(self.old) != 1:
            raise HwflowError(
                f"Yosys' {self.file} is not the file that hwflow patches ({self.reason})",
                hint="install the release of pyosys that hwflow's pyproject.toml pins",
            )
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Yosys:
    """How Yosys synthesises for a fabric.

    Attributes:
        label: the command in short, for reports.
        command: the command; `{top}` stands for the module.
        memories: labels of the command, the one at which it maps memories and the one after.
        models: files in Yosys' share folder with the behaviour of cells, where netlists can be
            simulated with them.
        patches: changes to Yosys' library, without which it fails.
    """

    label: str
    command: str
    memories: tuple[str, str]
    models: tuple[str, ...] = ()
    patches: tuple[LibraryPatch, ...] = ()


@dataclass(frozen=True, eq=False)
class Fabric:
    """What parts are made of.

    Attributes:
        cells: what the cells of netlists take.
        memories: block RAM and LUT RAM.
        multiplier: bits of the two signed factors of a DSP block.
        primitives: AMD's cells that FINN's cores may place by hand; none where parts have none.
        yosys: how Yosys synthesises for it; None where it can't.
        opaque: types of cells whose behaviour Yosys has no model of.
    """

    cells: Cells
    memories: Memories
    multiplier: tuple[int, int]
    primitives: tuple[str, ...]
    yosys: Yosys | None
    opaque: frozenset[str]
