"""Synthesis with Yosys: every node of an accelerator by itself, in parallel, cached by content."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from hwflow.board import Board, Family
from hwflow.engine.artifacts import file_hash
from hwflow.errors import HwflowError
from hwflow.processes import in_parallel, run_process
from hwflow.rtl import Design, Node, load_design
from hwflow.synth.cells import RESOURCES, count_resources

# Names of the families in Yosys' commands.
FAMILIES: dict[Family, str] = {"zynq-7000": "xc7", "zynq-ultrascale+": "xcup", "ecp5": "ecp5"}
CELLS, NETLIST, LOG, SEAL = "cells.json", "netlist.v", "yosys.log", "sha256"

Resources = dict[str, int]


def tool(family: Family) -> str:
    """What the figures come from, for reports."""
    command = "synth_ecp5" if family == "ecp5" else f"synth_xilinx {FAMILIES[family]}"
    return f"Yosys {metadata.version('pyosys')} {command}"


def synthesize(
    rtl: Path,
    board: Board,
    cache: Path,
    *,
    logs: Path,
    jobs: int = 2,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Resources]:
    """Synthesise every node of an RTL folder.

    Args:
        rtl: RTL folder.
        board: its family decides how.
        cache: folder of finished results, shared between builds.
        logs: folder for Yosys' log of each node.
        jobs: processes at a time.
        note: told how far it is.

    Returns:
        For each node the lut, ff, dsp, bram18 and uram of its netlist.

    Raises:
        HwflowError: Yosys rejects a node; names it, with the end of the log.
    """
    design = load_design(rtl)
    cache.mkdir(parents=True, exist_ok=True)
    done = 0

    def job(node: Node) -> Resources:
        nonlocal done
        place = _synthesised(rtl, node, board.family, cache, logs)
        done += 1
        note(f"Yosys: {done} of {len(design.nodes)} nodes")
        return count_resources(json.loads((place / CELLS).read_text()))

    # The largest first, so that none of them is left to run alone at the end.
    order = sorted(design.nodes, key=lambda node: -node.pe * node.simd)
    results = in_parallel([functools.partial(job, node) for node in order], jobs)
    by_name = {node.name: result for node, result in zip(order, results, strict=True)}
    return {node.name: by_name[node.name] for node in design.nodes}


def netlists(rtl: Path, design: Design, board: Board, cache: Path) -> dict[str, str]:
    """The netlist of every node, its module renamed to the node's.

    Args:
        rtl: RTL folder that was synthesised with the same cache.
        design: its description.
        board: that it was synthesised for.
        cache: the cache.
    """
    texts = {}
    for node in design.nodes:
        place = cache / content_key(rtl, node, board.family)
        texts[node.name] = (place / NETLIST).read_text().replace(_alias(node), node.name)
    return texts


def total(resources: dict[str, Resources]) -> Resources:
    """The sum over nodes."""
    return {name: sum(node[name] for node in resources.values()) for name in RESOURCES}


def content_key(rtl: Path, node: Node, family: Family) -> str:
    """Hash of all that a node's netlist follows from, whatever the node is called."""
    digest = hashlib.sha256(f"{tool(family)} {node.op}".encode())
    digest.update(Path(__file__).with_name("worker.py").read_bytes())
    for file in sorted((*node.files, *node.data)):
        text = (rtl / file).read_text().replace(node.name, _alias(node))
        digest.update(file.replace(node.name, _alias(node)).encode() + text.encode())
    return digest.hexdigest()[:32]


def _alias(node: Node) -> str:
    """What a node is called while it is synthesised, so that equal nodes give equal results."""
    return f"node_{node.op}"


def _synthesised(rtl: Path, node: Node, family: Family, cache: Path, logs: Path) -> Path:
    key = content_key(rtl, node, family)
    place, log = cache / key, logs / f"{node.name}.log"
    with FileLock(cache / f"{key}.lock"):
        if not _is_whole(place):
            shutil.rmtree(place, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
                _run(rtl, node, family, Path(scratch), log)
                finished = Path(scratch) / "finished"
                shutil.copy(log, finished / LOG)
                (finished / SEAL).write_text(_seal(finished))
                finished.rename(place)
        shutil.copy(place / LOG, log)
    return place


def _run(rtl: Path, node: Node, family: Family, scratch: Path, log: Path) -> None:
    """Synthesise a renamed copy of a node in a folder of its own."""
    source, finished = scratch / "rtl", scratch / "finished"
    alias = _alias(node)
    finished.mkdir()
    for file in (*node.files, *node.data):
        target = source / file.replace(node.name, alias)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((rtl / file).read_text().replace(node.name, alias))
    job = {
        "module": node.module.replace(node.name, alias),
        "files": [file.replace(node.name, alias) for file in node.files],
        "family": FAMILIES[family],
        "output": str(finished),
        # FINN's cores place AMD's DSP blocks by hand unless they are told to describe them.
        "defines": ["SYNTHESIS", *(["FINN_SIMULATION"] if _behavioural(node, family) else [])],
    }
    (scratch / "job.json").write_text(json.dumps(job))
    result = run_process(
        [sys.executable, "-m", "hwflow.synth.worker", scratch / "job.json"], cwd=source, log=log
    )
    if result.code or not (finished / CELLS).is_file():
        errors = [line for line in result.output.splitlines() if "error" in line.lower()]
        detail = "\n".join(errors[-3:]) or result.tail(5)
        raise HwflowError(
            f"Yosys can't synthesise {node.name} ({node.op}):\n{detail}", hint=f"its log is {log}"
        )


def _behavioural(node: Node, family: Family) -> bool:
    return family == "ecp5" and node.op == "MVAU_rtl"


def _seal(place: Path) -> str:
    return "".join(file_hash(place / name) for name in (CELLS, NETLIST, LOG))


def _is_whole(place: Path) -> bool:
    try:
        return (place / SEAL).read_text() == _seal(place)
    except OSError:
        return False
