"""Asks Yosys' SAT solver about one module: `python formal_worker.py JOB.json`.

A process of its own, for Yosys' SystemVerilog front end ends the process on an error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# Memories become registers, and all registers of one type: resets and enables are logic.
_TO_GATES = ("prep -top {top} -flatten", "memory_map", "async2sync", "chformal -lower", "dffunmap")


def run(job: dict[str, Any]) -> None:
    """Run a job: `module`, `parameters`, `files`, `assertions` (the least number), `commands`.

    What each command prints follows a line `COMMAND` and its index.
    """
    from pyosys import libyosys as ys

    design = ys.Design()
    files = " ".join(job["files"])
    parameters = " ".join(f"-G {name}={value}" for name, value in job["parameters"].items())
    ys.run_pass(
        f"read_slang --allow-use-before-declare --top {job['module']} {parameters} {files}", design
    )
    for command in _TO_GATES:
        ys.run_pass(command.format(top=job["module"]), design)
    ys.run_pass(f"select -assert-min {job['assertions']} t:$assert", design)
    ys.run_pass("opt_clean", design)
    for index, command in enumerate(job["commands"]):
        print(f"\nCOMMAND {index}", flush=True)
        ys.run_pass(command, design)
    print("\nCOMMAND END", flush=True)


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
