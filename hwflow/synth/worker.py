"""Synthesises one module with Yosys: `python -m hwflow.synth.worker JOB.json`, in the RTL folder.

A process of its own, for Yosys' SystemVerilog front end ends the process on an error.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

# Primitives that FINN's cores place by hand; the front end needs to know their ports.
PRIMITIVES = ("LUT6_2", "DSP48E1", "DSP48E2")
_DECLARATION = re.compile(r"^\s*(\(\*.*\*\)\s*)?(parameter|input|output|inout)\b")


def synthesise(job: dict[str, Any]) -> None:
    """Run a job: `module`, `files`, `family`, `output` (folder), `defines`.

    Leaves `cells.json`, the number of cells of each type, and `netlist.v` in the output folder.
    """
    from pyosys import libyosys as ys

    output = Path(job["output"])
    share = Path(ys.proc_share_dirname())
    stubs = output / "primitives.v"
    stubs.write_text(primitive_stubs(share))
    design = ys.Design()

    def run(command: str) -> None:
        ys.run_pass(command, design)

    defines = " ".join(f"-D {name}" for name in job["defines"])
    files = " ".join(str(file) for file in [*job["files"], stubs])
    run(
        "read_slang --allow-use-before-declare --ignore-assertions"
        f" {defines} --top {job['module']} {files}"
    )
    if job["family"] == "ecp5":
        run(f"synth_ecp5 -top {job['module']} -noabc9")
    else:
        run(
            f"synth_xilinx -family {job['family']} -top {job['module']} -flatten -noiopad -noclkbuf"
        )
    stat = output / "stat.json"
    run(f'tee -q -o "{stat}" stat -json')
    cells = json.loads(stat.read_text())["design"]["num_cells_by_type"]
    run(f'write_verilog -noattr -norename "{output / "netlist.v"}"')
    (output / "cells.json").write_text(json.dumps(cells))


def primitive_stubs(share: Path) -> str:
    """Black boxes of the primitives, cut from Yosys' own models of them."""
    models = "".join(
        (share / "xilinx" / name).read_text() for name in ("cells_sim.v", "cells_xtra.v")
    )
    return "\n".join(_stub(models, name) for name in PRIMITIVES)


def _stub(models: str, name: str) -> str:
    found = re.search(rf"^module {name}\s*\(.*?^endmodule", models, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"Yosys has no model of {name}")
    header, _, body = found[0].partition(");")
    kept = [line for line in body.splitlines() if _DECLARATION.match(line)]
    return "\n".join(["(* blackbox *)", f"{header});", *kept, "endmodule", ""])


if __name__ == "__main__":
    synthesise(json.loads(Path(sys.argv[1]).read_text()))
