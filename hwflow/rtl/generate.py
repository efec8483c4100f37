"""Writes the RTL folder: one module a node, the wiring between them, memory files, source list."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from hwflow.dataflow.finn_setup import prepare_finn
from hwflow.rtl.design import Design, Node
from hwflow.rtl.nodes import KERNELS, LIBRARY, generate_node
from hwflow.rtl.streams import as_port, streams_of
from hwflow.rtl.wiring import top_module

LICENSE = f"""\
hwflow generated this folder from a network of its user's.

What hwflow wrote, its kernels in {KERNELS}/ and all memories included, belongs to that user, who
may use, change and pass it on without conditions from hwflow's authors. It comes as it is,
without warranty of any kind.

The files in {LIBRARY}/ are FINN's, some of them patched, and modules with FINN's header are made
from its templates. They are under the BSD 3-clause licence of that header, which stays with them.
"""


def generate(
    model: ModelWrapper, folder: Path, part: str, clock_mhz: float, *, gauge: bool = False
) -> Design:
    """Write a hardware graph as a self-contained RTL project.

    Args:
        model: RTL hardware layers, with converters and FIFOs; every tensor between them goes from
            one layer to one other.
        folder: written to; created when it does not exist.
        part: FPGA part, which decides the DSP primitive.
        clock_mhz: clock that the layers are generated for.
        gauge: include FINN's FIFO gauge, the unbounded FIFO that simulation puts in place of each
            FIFO (under the macro FINN_SIMULATION) to measure how deep it must be.

    Returns:
        The description that is also written to `design.json`.
    """
    prepare_finn()
    folder.mkdir(parents=True, exist_ok=True)
    model = ModelWrapper(model.model, make_deepcopy=True)
    nodes = tuple(generate_node(model, node, folder, part, clock_mhz) for node in model.graph.node)
    if not gauge:
        nodes = tuple(_without(node, f"{LIBRARY}/fifo_gauge.sv") for node in nodes)
        (folder / LIBRARY / "fifo_gauge.sv").unlink(missing_ok=True)
    streams = streams_of(model)
    design = Design(
        top="top",
        input=as_port(streams[0]),
        output=as_port(streams[-1]),
        bound_cycles=max(node.cycles for node in nodes),
        nodes=nodes,
        streams=streams,
    )
    (folder / "LICENSE.txt").write_text(LICENSE)
    (folder / "top.sv").write_text(top_module(design))
    (folder / "sources.f").write_text("\n".join([*source_order(design), "top.sv"]) + "\n")
    (folder / "design.json").write_text(design.model_dump_json(indent=1) + "\n")
    return design


def _without(node: Node, file: str) -> Node:
    return node.model_copy(update={"files": tuple(f for f in node.files if f != file)})


def source_order(design: Design) -> list[str]:
    """Source files of a design, each once, packages before what imports them."""
    return in_order(design.nodes)


def in_order(nodes: Iterable[Node]) -> list[str]:
    """Source files of nodes, each once, packages before what imports them."""
    files = list(dict.fromkeys(file for node in nodes for file in node.files))
    return sorted(files, key=lambda file: not file.endswith("_pkg.sv"))
