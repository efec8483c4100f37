"""Writes the RTL of one node: FINN's and hwflow's own files that it needs, and its memories."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from hwflow.dataflow.specialise import layer_of
from hwflow.errors import HwflowError
from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.finn_library import rtl_library
from hwflow.kernels.layer_names import both_names, layer_name, user_name
from hwflow.rtl.design import Fifo, Node
from hwflow.rtl.patches import patched

# Folders, inside the RTL folder, of FINN's library files and of hwflow's kernels.
LIBRARY, KERNELS = "finn", "kernels"
# FINN's files leave widths to be extended and cut, which Verilator's lint reports.
LINT_OFF = "".join(
    f"// verilator lint_off {rule}\n" for rule in ("WIDTHEXPAND", "WIDTHTRUNC", "UNSIGNED")
)


def generate_node(
    model: ModelWrapper, node: Any, folder: Path, part: str, clock_mhz: float
) -> Node:
    """Write a layer's module, the library files that it needs, patched, and its memories.

    Args:
        model: the graph that the layer is in; the layer's attributes are set.
        node: the layer.
        folder: written to; must exist.
        part: FPGA part, which decides the DSP primitive.
        clock_mhz: clock.
    """
    with tempfile.TemporaryDirectory(prefix="hwflow-rtl-") as scratch:
        return _generate(model, node, Path(scratch), folder, part, clock_mhz)


def _generate(
    model: ModelWrapper, node: Any, code: Path, folder: Path, part: str, clock_mhz: float
) -> Node:
    layer = hardware_layer(node)
    layer.set_nodeattr("code_gen_dir_ipgen", str(code))
    try:
        layer.code_generation_ipgen(model, part, 1000 / clock_mhz)
    except (AssertionError, ValueError) as error:  # How FINN refuses attributes.
        raise HwflowError(
            f"FINN has no {node.op_type} for {both_names(node)}: {error}",
            hint="change the layer, or its folding",
        ) from error
    sources = [Path(file) for file in layer.get_rtl_file_list(abspath=True)]
    module, own = node.name, list(code.glob("*.v")) + list(code.glob("*.sv"))
    connection, queue = layer.connection(), layer.queue()
    if connection is not None:
        module = f"{node.name}_node"
        own.append(_write(code / f"{module}.sv", connection))
    shared = [file for file in sources if code not in file.parents]
    files = [_copy_shared(file, folder) for file in shared]
    files += [_copy_own(file, code, node.name, folder) for file in dict.fromkeys(own)]
    return Node(
        name=node.name,
        op=node.op_type,
        module=module,
        layer=layer_name(node) or layer_of(node.name),
        path=user_name(node),
        files=tuple(files),
        data=tuple(_copy_data(code, node.name, folder)),
        pe=_attribute(layer, "PE"),
        simd=_attribute(layer, "SIMD"),
        cycles=layer.cycles(),
        kernel=f"{layer.origin()} {layer.KERNEL}",
        role=layer.ROLE,
        begins_early=layer.BEGINS_EARLY,
        fifo=None if queue is None else Fifo(depth=queue[0], width=queue[1]),
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
    text = file.read_text()
    if from_library:
        text = LINT_OFF + patched(file.name, text)
    if target.exists() and target.read_text() != text:
        raise HwflowError(
            f"{file} and another layer's source have one name",
            hint="rename the file and its module",
        )
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
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
