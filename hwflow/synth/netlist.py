"""The synthesised netlist as an RTL folder, to be simulated against the RTL it came from."""

from __future__ import annotations

import re
from pathlib import Path

from hwflow.board import Board
from hwflow.rtl import Design, load_design
from hwflow.rtl.generate import source_order
from hwflow.rtl.wiring import top_module
from hwflow.synth.yosys import netlists

CELLS = "cells.v"
# Vendor primitives that have no behaviour in Yosys' models.
_OPAQUE = re.compile(r"\b(RAMB18E[12]|RAMB36E[12]|URAM288|DSP48E2)\b")


def why_not_simulated(rtl: Path, board: Board, cache: Path) -> str | None:
    """Why a netlist can't be simulated; None if it can.

    Args:
        rtl: RTL folder, synthesised before with the same cache.
        board: that it was synthesised for.
        cache: synthesis cache.
    """
    if board.family == "ecp5":
        return "there is no open model of ECP5's multipliers"
    for name, text in netlists(rtl, load_design(rtl), board, cache).items():
        opaque = sorted(set(_OPAQUE.findall(text)))
        if opaque:
            return f"{name} holds {', '.join(opaque)}, of which there is no open model"
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
    (folder / CELLS).write_text(_cell_models())
    netlist = design.model_copy(update={"nodes": tuple(nodes)})
    (folder / "top.sv").write_text(top_module(netlist))
    (folder / "sources.f").write_text("\n".join([*source_order(netlist), "top.sv"]) + "\n")
    (folder / "design.json").write_text(netlist.model_dump_json(indent=1) + "\n")
    return netlist


def _cell_models() -> str:
    """Yosys' behavioural models of the primitives, without what only timing analysis reads."""
    from pyosys import libyosys as ys

    text = (Path(ys.proc_share_dirname()) / "xilinx" / "cells_sim.v").read_text()
    text = re.sub(r"^\s*specify\b.*?^\s*endspecify\b", "", text, flags=re.MULTILINE | re.DOTALL)
    return "/* verilator lint_off WIDTH */\n" + text
