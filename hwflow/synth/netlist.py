"""The synthesised netlist as an RTL folder, to be simulated against the RTL it came from."""

from __future__ import annotations

import re
from pathlib import Path

from hwflow.board import Board
from hwflow.families import Family, family
from hwflow.rtl import Design, load_design
from hwflow.rtl.generate import source_order
from hwflow.rtl.wiring import top_module
from hwflow.synth.nodes import netlists

CELLS = "cells.v"
# A memory in the models of LUT RAM.
_VECTOR = re.compile(r"reg \[(\d+):0\] mem = INIT;")


def why_not_simulated(rtl: Path, board: Board, cache: Path) -> str | None:
    """Why a netlist can't be simulated; None if it can.

    Args:
        rtl: RTL folder, synthesised before with the same cache.
        board: that it was synthesised for.
        cache: synthesis cache.
    """
    fabric = family(board.family).fabric
    if fabric.yosys is None or not fabric.yosys.models:
        return f"hwflow has no models of the cells of {board.family}"
    opaque = sorted(fabric.opaque)
    for name, text in netlists(rtl, load_design(rtl), board, cache).items():
        held = [cell for cell in opaque if re.search(rf"\b{cell}\b", text)]
        if held:
            return f"{name} holds {', '.join(held)}, of which there is no open model"
    return None


def write_netlist(rtl: Path, folder: Path, board: Board, cache: Path) -> Design:
    """Write a folder like `rtl` whose nodes are synthesised netlists.

    Args:
        rtl: RTL folder, synthesised before with the same cache.
        folder: written to.
        board: that it was synthesised for.
        cache: synthesis cache.
    """
    design = load_design(rtl)
    nodes = []
    folder.mkdir(parents=True, exist_ok=True)
    for node, text in zip(design.nodes, netlists(rtl, design, board, cache).values(), strict=True):
        file = f"{node.name}.v"
        (folder / file).write_text(text)
        nodes.append(node.model_copy(update={"files": (CELLS, file), "data": ()}))
    (folder / CELLS).write_text(cell_models(family(board.family)))
    netlist = design.model_copy(update={"nodes": tuple(nodes)})
    (folder / "top.sv").write_text(top_module(netlist))
    (folder / "sources.f").write_text("\n".join([*source_order(netlist), "top.sv"]) + "\n")
    (folder / "design.json").write_text(netlist.model_dump_json(indent=1) + "\n")
    return netlist


def cell_models(of: Family) -> str:
    """Yosys' behavioural models of primitives, without what only timing analysis reads.

    Memories are made arrays: where they are vectors, Verilator 5.48 gives other results.
    """
    from pyosys import libyosys as ys

    share = Path(ys.proc_share_dirname())
    yosys = of.fabric.yosys
    texts = {} if yosys is None else {file: (share / file).read_text() for file in yosys.models}
    for patch in () if yosys is None else yosys.patches:
        if patch.file in texts:
            texts[patch.file] = patch.apply(texts[patch.file])
    text = "\n".join(texts.values())
    text = re.sub(r"^\s*specify\b.*?^\s*endspecify\b", "", text, flags=re.MULTILINE | re.DOTALL)
    text = _VECTOR.sub(
        r"reg mem [\1:0]; integer i; initial for (i = 0; i <= \1; i = i + 1) mem[i] = INIT[i];",
        text,
    )
    return "/* verilator lint_off WIDTH */\n" + text
