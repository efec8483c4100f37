"""Synthesis of every node of an accelerator by itself, in parallel, cached by content."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from hwflow.board import Board
from hwflow.engine.artifacts import file_hash
from hwflow.errors import HwflowError, ToolError
from hwflow.families import RESOURCES, Family, family
from hwflow.kernels.catalogue import hardware_layers
from hwflow.processes import in_parallel
from hwflow.registry import Registry
from hwflow.rtl import Design, Node, load_design
from hwflow.synth.backend import NETLIST, Module, SynthesisBackend

BACKENDS: Registry[SynthesisBackend] = Registry("hwflow.synth", "BACKEND", SynthesisBackend)
CELLS, LOG, SEAL = "cells.json", "synthesis.log", "sha256"

Resources = dict[str, int]


def backend_for(of: Family) -> SynthesisBackend:
    """The first back end that synthesises for a family, of hwflow's own ones before others'.

    Raises:
        HwflowError: there is none.
    """
    for backend in BACKENDS:
        if backend.serves(of):
            return backend
    raise HwflowError(f"nothing synthesises for {of.name}", hint="set hardware.synthesis to false")


def tool(family_name: str) -> str:
    """What the figures come from, for reports."""
    of = family(family_name)
    return backend_for(of).label(of)


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
        logs: folder for the log of each node.
        jobs: processes at a time.
        note: told how far it is.

    Returns:
        For each node the lut, ff, dsp, bram18 and uram of its netlist.

    Raises:
        HwflowError: a node is rejected, or its netlist holds cells that the family has not; names
            it, with the end of the log.
    """
    design, of = load_design(rtl), family(board.family)
    name = backend_for(of).name
    cache.mkdir(parents=True, exist_ok=True)
    done = 0

    def job(node: Node) -> Resources:
        nonlocal done
        folder = _synthesised(rtl, node, of, cache, logs)
        done += 1
        note(f"{name}: {done} of {len(design.nodes)} nodes")
        return of.fabric.cells.count(json.loads((folder / CELLS).read_text()))

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
        folder = cache / content_key(rtl, node, family(board.family))
        texts[node.name] = (folder / NETLIST).read_text().replace(_alias(node), node.name)
    return texts


def total(resources: dict[str, Resources]) -> Resources:
    """The sum over nodes."""
    return {name: sum(node[name] for node in resources.values()) for name in RESOURCES}


def content_key(rtl: Path, node: Node, of: Family) -> str:
    """Hash of all that a node's netlist follows from, whatever the node is called."""
    digest = hashlib.sha256(backend_for(of).causes(of).encode())
    digest.update(Path(__file__).read_bytes())
    digest.update(repr(defines(node, of)).encode())
    for file in sorted((*node.files, *node.data)):
        text = (rtl / file).read_text().replace(node.name, _alias(node))
        digest.update(file.replace(node.name, _alias(node)).encode() + text.encode())
    return digest.hexdigest()[:32]


def defines(node: Node, of: Family) -> tuple[str, ...]:
    """The macros that the sources of a node are read with for a family."""
    return () if of.fabric.primitives else hardware_layers()[node.op].DESCRIBED


def _alias(node: Node) -> str:
    """What a node is called while it is synthesised, so that equal nodes give equal results."""
    return f"node_{node.op}"


def _synthesised(rtl: Path, node: Node, of: Family, cache: Path, logs: Path) -> Path:
    key = content_key(rtl, node, of)
    folder, log = cache / key, logs / f"{node.name}.log"
    with FileLock(cache / f"{key}.lock"):
        if not _is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
                _run(rtl, node, of, Path(scratch), log)
                finished = Path(scratch) / "finished"
                shutil.copy(log, finished / LOG)
                (finished / SEAL).write_text(_seal(finished))
                finished.rename(folder)
        shutil.copy(folder / LOG, log)
    return folder


def _run(rtl: Path, node: Node, of: Family, scratch: Path, log: Path) -> None:
    """Synthesise a renamed copy of a node in a folder of its own."""
    source, work, finished = (scratch / name for name in ("rtl", "work", "finished"))
    alias = _alias(node)
    for folder in (work, finished):
        folder.mkdir()
    for file in (*node.files, *node.data):
        target = source / file.replace(node.name, alias)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((rtl / file).read_text().replace(node.name, alias))
    files = tuple(file.replace(node.name, alias) for file in node.files)
    module = Module(node.module.replace(node.name, alias), source, files, defines(node, of))
    backend = backend_for(of)
    try:
        cells = backend.synthesise(module, of, work, log)
    except ToolError as error:
        raise HwflowError(
            f"{backend.name} can't synthesise {node.name} ({node.op}) for {of.name}:\n"
            f"{error.message}",
            hint=error.hint,
        ) from error
    (work / NETLIST).rename(finished / NETLIST)
    (finished / CELLS).write_text(json.dumps(dict(cells)))


def _seal(folder: Path) -> str:
    return "".join(file_hash(folder / name) for name in (CELLS, NETLIST, LOG))


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / SEAL).read_text() == _seal(folder)
    except OSError:
        return False
