"""What a back end that synthesises is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hwflow.families import Family
from hwflow.processes.tools import Tool

# The netlist that a back end leaves: Verilog of one module.
NETLIST = "netlist.v"


@dataclass(frozen=True)
class Module:
    """A module to synthesise.

    Attributes:
        name: of the module.
        folder: where its files and the memories that these read lie; tools run in it.
        files: sources, in order.
        defines: macros that they are read with.
    """

    name: str
    folder: Path
    files: tuple[str, ...]
    defines: tuple[str, ...] = ()


class SynthesisBackend(ABC):
    """Makes a netlist of a module for the parts of some families.

    A module of `hwflow.synth`, or an entry point of that group, has an instance of a subclass as
    its `BACKEND`.

    Attributes:
        name: what it is called.
        tools: all that it needs.
        gives: what it is good for, in a few words.
        needed: whether the default build needs it.
    """

    name: ClassVar[str]
    tools: ClassVar[tuple[Tool, ...]]
    gives: ClassVar[str]
    needed: ClassVar[bool] = False

    @abstractmethod
    def serves(self, family: Family) -> bool:
        """Whether it synthesises for parts of a family."""

    @abstractmethod
    def label(self, family: Family) -> str:
        """What resources come from, for reports: tool, version, command in short."""

    @abstractmethod
    def causes(self, family: Family) -> str:
        """All that a netlist for a family follows from, beside its sources."""

    @abstractmethod
    def synthesise(
        self, module: Module, family: Family, output: Path, log: Path
    ) -> Mapping[str, int]:
        """Leave the netlist of a module, called `NETLIST`, in a folder.

        Args:
            module: what to synthesise.
            family: of the part that it is for.
            output: folder for the netlist, which exists.
            log: file for what the tool prints.

        Returns:
            The number of cells of each type.

        Raises:
            ToolError: the tool rejects the module; with the end of what it said.
        """
