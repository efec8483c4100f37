"""Synthesises one module with Yosys: `python -m hwflow.synth.worker JOB.json`, in the RTL folder.

A process of its own, for Yosys' SystemVerilog front end ends the process on an error, and Yosys
reads its library from one place.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwflow.families.fabric import LibraryPatch

_DECLARATION = re.compile(r"^\s*(\(\*.*\*\)\s*)?(parameter|input|output|inout)\b")


def synthesise(job: dict[str, Any]) -> None:
    """Run a job: `module`, `files`, `defines`, `output` (folder), and what the family says
    (`command`, `memories`, `primitives`, `patches`; see `hwflow.families.fabric`).

    Leaves `cells.json`, the number of cells of each type, and `netlist.v` in the output folder.
    """
    output = Path(job["output"])
    patches = [LibraryPatch(**patch) for patch in job["patches"]]
    if patches:
        use_library(patched_library(installed_library(), patches, output / "share"))
    from pyosys import libyosys as ys

    share = Path(ys.proc_share_dirname())
    stubs = output / "primitives.v"
    stubs.write_text(primitive_stubs(share, job["primitives"]))
    design = ys.Design()

    def run(command: str) -> None:
        ys.run_pass(command, design)

    def counts() -> dict[str, int]:
        stat = output / "stat.json"
        run(f'tee -q -o "{stat}" stat -json')
        by_type: dict[str, int] = json.loads(stat.read_text())["design"]["num_cells_by_type"]
        return by_type

    defines = " ".join(f"-D {name}" for name in job["defines"])
    files = " ".join(str(file) for file in [*job["files"], stubs])
    run(
        "read_slang --allow-use-before-declare --ignore-assertions"
        f" {defines} --top {job['module']} {files}"
    )
    command = job["command"].format(top=job["module"])
    memories, after = job["memories"]
    run(f"{command} -run :{memories}")
    # Reading the library of block RAMs takes longer than all the rest of a small layer.
    if any(cell.startswith("$mem") for cell in counts()):
        run(f"{command} -run {memories}:{after}")
    run(f"{command} -run {after}:")
    cells = counts()
    # A simulator draws the whole of a constant that has an undefined bit, so all of a memory whose
    # last words nothing fills: each such bit is drawn here.
    run("setundef -params -random 1")
    run(f'write_verilog -noattr -norename "{output / "netlist.v"}"')
    (output / "cells.json").write_text(json.dumps(cells))


def installed_library() -> Path:
    """The folder of the library that Yosys came with."""
    import pyosys

    return Path(pyosys.__file__).parent / "share"


def use_library(folder: Path) -> None:
    """Make Yosys, which is not loaded yet, read its library from a folder."""
    import pyosys  # noqa: F401  (its import sets the name that is set here)

    sys._pyosys_share_dirname = f"{folder}/"  # type: ignore[attr-defined]
    from pyosys import libyosys

    if Path(libyosys.proc_share_dirname()) != folder:
        raise ValueError(
            "this release of pyosys does not read its library from where it is told to:"
            " install the one that hwflow's pyproject.toml pins"
        )


def patched_library(library: Path, patches: Sequence[LibraryPatch], folder: Path) -> Path:
    """A folder like Yosys' library with some files changed; all others are links.

    Raises:
        HwflowError: a file is not the one that a patch was written for.
    """
    texts: dict[str, str] = {}
    for patch in patches:
        text = texts.get(patch.file) or (library / patch.file).read_text()
        texts[patch.file] = patch.apply(text)
    changed = {parent for file in texts for parent in Path(file).parents}
    _link(library, folder, Path(), changed, texts)
    return folder


def _link(
    library: Path, folder: Path, relative: Path, changed: set[Path], texts: dict[str, str]
) -> None:
    (folder / relative).mkdir(parents=True)
    for entry in (library / relative).iterdir():
        inside = relative / entry.name
        if inside.as_posix() in texts:
            (folder / inside).write_text(texts[inside.as_posix()])
        elif inside in changed:
            _link(library, folder, inside, changed, texts)
        else:
            (folder / inside).symlink_to(entry)


def primitive_stubs(share: Path, primitives: Sequence[str]) -> str:
    """Black boxes of AMD's primitives, cut from Yosys' own models of them."""
    models = "".join(
        (share / "xilinx" / name).read_text() for name in ("cells_sim.v", "cells_xtra.v")
    )
    return "\n".join(_stub(models, name) for name in primitives)


def _stub(models: str, name: str) -> str:
    definition = re.search(rf"^module {name}\s*\(.*?^endmodule", models, re.MULTILINE | re.DOTALL)
    if definition is None:
        raise ValueError(f"Yosys has no model of {name}")
    header, _, body = definition[0].partition(");")
    declarations = [line for line in body.splitlines() if _DECLARATION.match(line)]
    return "\n".join(["(* blackbox *)", f"{header});", *declarations, "endmodule", ""])


if __name__ == "__main__":
    synthesise(json.loads(Path(sys.argv[1]).read_text()))
