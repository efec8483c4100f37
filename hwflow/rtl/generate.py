"""Writes the RTL folder: one module a node, the wiring between them, memory files, source list."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.finn_setup import prepare_finn, rtl_library
from hwflow.dataflow.folding import layer_cycles
from hwflow.dataflow.specialise import layer_of
from hwflow.rtl.design import Design, Fifo, Node
from hwflow.rtl.patches import patched
from hwflow.rtl.streams import as_port, streams_of
from hwflow.rtl.weights import write_weights
from hwflow.rtl.wiring import CORES, top_module

# Folders, inside the RTL folder, of FINN's library files and of hwflow's kernels.
LIBRARY, KERNELS = "finn", "kernels"
MEMSTREAM = ("axi/hdl/axilite.sv", "memstream/hdl/memstream_axi.sv", "memstream/hdl/memstream.sv")
# Only Versal parts have the DSP58, and none is among the supported boards.
UNUSED = ("mvu_vvu_8sx9_dsp58.sv",)
# FINN's files leave widths to be extended and cut, which Verilator's lint reports.
LINT_OFF = "".join(
    f"// verilator lint_off {rule}\n" for rule in ("WIDTHEXPAND", "WIDTHTRUNC", "UNSIGNED")
)


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
    cycles = layer_cycles(model)
    with tempfile.TemporaryDirectory(prefix="hwflow-rtl-") as scratch:
        nodes = tuple(
            _generate_node(model, node, Path(scratch), folder, part, clock_mhz, cycles[node.name])
            for node in model.graph.node
        )
    if not gauge:
        nodes = tuple(_without(node, f"{LIBRARY}/fifo_gauge.sv") for node in nodes)
        (folder / LIBRARY / "fifo_gauge.sv").unlink(missing_ok=True)
    streams = streams_of(model)
    design = Design(
        top="top",
        input=as_port(streams[0]),
        output=as_port(streams[-1]),
        bound_cycles=max(cycles.values()),
        nodes=nodes,
        streams=streams,
    )
    (folder / "top.sv").write_text(top_module(design))
    (folder / "sources.f").write_text("\n".join([*source_order(design), "top.sv"]) + "\n")
    (folder / "design.json").write_text(design.model_dump_json(indent=1) + "\n")
    return design


def _without(node: Node, file: str) -> Node:
    return node.model_copy(update={"files": tuple(f for f in node.files if f != file)})


def source_order(design: Design) -> list[str]:
    """Source files of a design, each once, packages before what imports them."""
    files = list(dict.fromkeys(file for node in design.nodes for file in node.files))
    return sorted(files, key=lambda file: not file.endswith("_pkg.sv"))


def _generate_node(
    model: ModelWrapper,
    node: Any,
    scratch: Path,
    folder: Path,
    part: str,
    clock_mhz: float,
    cycles: int,
) -> Node:
    code = scratch / node.name
    code.mkdir()
    layer = getCustomOp(node)
    layer.set_nodeattr("code_gen_dir_ipgen", str(code))
    if node.op_type == "MVAU_rtl":
        layer.generate_params = functools.partial(_write_mvau_weights, node=node)
    layer.code_generation_ipgen(model, part, 1000 / clock_mhz)
    sources = [Path(file) for file in layer.get_rtl_file_list(abspath=True)]
    module, own = node.name, list(code.glob("*.v")) + list(code.glob("*.sv"))
    if node.op_type == "MVAU_rtl":
        sources += [rtl_library() / file for file in MEMSTREAM]
    if node.op_type in CORES:
        module = f"{node.name}_node"
        own.append(_write(code / f"{module}.sv", CORES[node.op_type](node.name, layer)))
    shared = [file for file in sources if code not in file.parents and file.name not in UNUSED]
    files = [_copy_shared(file, folder) for file in shared]
    files += [_copy_own(file, code, node.name, folder) for file in dict.fromkeys(own)]
    return Node(
        name=node.name,
        op=node.op_type,
        module=module,
        layer=layer_of(node.name),
        files=tuple(files),
        data=tuple(_copy_data(code, node.name, folder)),
        pe=_attribute(layer, "PE"),
        simd=_attribute(layer, "SIMD"),
        cycles=cycles,
        fifo=Fifo(depth=layer.get_nodeattr("depth"), width=layer.get_instream_width_padded())
        if node.op_type == "StreamingFIFO_rtl"
        else None,
    )


def _write_mvau_weights(model: ModelWrapper, folder: str, node: Any) -> None:
    """In place of FINN's `generate_params`, whose packing is slow."""
    layer = getCustomOp(node)
    write_weights(
        Path(folder) / "memblock.dat",
        model.get_initializer(node.input[1]),
        layer.get_nodeattr("PE"),
        layer.get_nodeattr("SIMD"),
        layer.get_input_datatype(1).bitwidth(),
    )


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _attribute(layer: Any, name: str) -> int:
    return int(layer.get_nodeattr(name)) if name in layer.get_nodeattr_types() else 1


def _copy_shared(file: Path, folder: Path) -> str:
    """Copy a library file, patched; hwflow's own kernels lie beside FINN's files."""
    from_library = rtl_library() in file.parents
    target = folder / (LIBRARY if from_library else KERNELS) / file.name
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        text = file.read_text()
        target.write_text(LINT_OFF + patched(file.name, text) if from_library else text)
    return target.relative_to(folder).as_posix()


def _copy_own(file: Path, code: Path, name: str, folder: Path) -> str:
    text = file.read_text().replace(f"{code}/memblock.dat", f"./{name}_weights.dat")
    (folder / file.name).write_text(LINT_OFF + text if "Copyright" in text else text)
    return file.name


def _copy_data(code: Path, name: str, folder: Path) -> list[str]:
    copied = []
    for file in sorted(code.glob("*.dat")):
        target = f"{name}_weights.dat" if file.name == "memblock.dat" else file.name
        if not target.startswith(name) or "memblock" in target:
            continue
        shutil.copyfile(file, folder / target)
        copied.append(target)
    return copied
