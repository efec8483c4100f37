"""Synthesis with Yosys, each module in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from hwflow.errors import ToolError
from hwflow.families import Family, fabric
from hwflow.families.fabric import Yosys
from hwflow.processes import run_process
from hwflow.processes.tools import Distribution
from hwflow.synth.backend import NETLIST, Module, SynthesisBackend

WORKER = Path(__file__).with_name("worker.py")
# Of all that decides a netlist, beside what a family says.
SOURCES = (WORKER, Path(__file__), Path(fabric.__file__))
CELLS = "cells.json"


class YosysBackend(SynthesisBackend):
    """Yosys, of the distribution pyosys."""

    name = "Yosys"
    tools = (Distribution("pyosys"),)
    gives = "resources, netlists"
    needed = True

    def serves(self, family: Family) -> bool:
        """Whether Yosys knows the fabric."""
        return family.fabric.yosys is not None

    def label(self, family: Family) -> str:
        """Such as `Yosys 0.70 synth_xilinx xc7`."""
        return f"Yosys {metadata.version('pyosys')} {_of(family).label}"

    def causes(self, family: Family) -> str:
        """Version, command, patches, and the sources that act on them."""
        return json.dumps(
            [self.label(family), _settings(family), *(source.read_text() for source in SOURCES)]
        )

    def synthesise(
        self, module: Module, family: Family, output: Path, log: Path
    ) -> Mapping[str, int]:
        """Run the worker."""
        job = {
            **_settings(family),
            "defines": ["SYNTHESIS", *module.defines],
            "module": module.name,
            "files": list(module.files),
            "output": str(output),
        }
        file = output / "job.json"
        file.write_text(json.dumps(job))
        result = run_process(
            [sys.executable, "-m", "hwflow.synth.worker", file], cwd=module.folder, log=log
        )
        cells = output / CELLS
        if result.code or not cells.is_file() or not (output / NETLIST).is_file():
            errors = [line for line in result.output.splitlines() if "error" in line.lower()]
            raise ToolError("\n".join(errors[-3:]) or result.tail(5), hint=f"its log is {log}")
        counts: dict[str, int] = json.loads(cells.read_text())
        return counts


BACKEND = YosysBackend()


def _of(family: Family) -> Yosys:
    yosys = family.fabric.yosys
    if yosys is None:
        raise ToolError(f"Yosys has no command for {family.name}")
    return yosys


def _settings(family: Family) -> dict[str, Any]:
    """What a family says of a job."""
    yosys = _of(family)
    return {
        "command": yosys.command,
        "memories": list(yosys.memories),
        "primitives": list(family.fabric.primitives),
        "patches": [asdict(patch) for patch in yosys.patches],
    }
