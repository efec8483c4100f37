"""Writes the RTL of one node: FINN's and hwflow's own files that it needs, and its memories."""

from __future__ import annotations

import functools
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.cycles import node_cycles, windows_of
from hwflow.dataflow.finn_setup import rtl_library
from hwflow.dataflow.layer_names import both_names, layer_name, user_name
from hwflow.dataflow.specialise import layer_of
from hwflow.errors import HwflowError
from hwflow.rtl.design import Fifo, Node
from hwflow.rtl.patches import patched
from hwflow.rtl.weights import write_thresholds, write_weights
from hwflow.rtl.wiring import CORES

# Folders, inside the RTL folder, of FINN's library files and of hwflow's kernels.
LIBRARY, KERNELS = "finn", "kernels"
MEMSTREAM = ("axi/hdl/axilite.sv", "memstream/hdl/memstream_axi.sv", "memstream/hdl/memstream.sv")
# Only Versal parts have the DSP58, and none is among the supported boards.
UNUSED = ("mvu_vvu_8sx9_dsp58.sv",)
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


@contextmanager
def _counters_of_a_bit() -> Iterator[None]:
    """FINN's windows take the logarithm of the most steps that one of their counters makes, which
    is 0 where they leave two pixels of a signal: let that be the logarithm of 1."""
    from finn.custom_op.fpgadataflow.rtl import convolutioninputgenerator_rtl as windows

    own = windows.math
    windows.math = SimpleNamespace(ceil=math.ceil, log2=lambda count: math.log2(count or 1))
    try:
        yield
    finally:
        windows.math = own


def _generate(
    model: ModelWrapper, node: Any, code: Path, folder: Path, part: str, clock_mhz: float
) -> Node:
    layer = getCustomOp(node)
    layer.set_nodeattr("code_gen_dir_ipgen", str(code))
    if node.op_type == "MVAU_rtl":
        layer.generate_params = functools.partial(_write_mvau_weights, node=node)
    if node.op_type == "Thresholding_rtl":
        layer.generate_params = functools.partial(_write_thresholds, node=node)
    windows = node.op_type == "ConvolutionInputGenerator_rtl"
    try:
        if windows and layer.select_impl_style() == "default":
            layer.get_buffer_depth = lambda: windows_of(layer).buffer
        with _counters_of_a_bit():
            layer.code_generation_ipgen(model, part, 1000 / clock_mhz)
    except (AssertionError, ValueError) as error:  # How FINN refuses attributes.
        raise HwflowError(
            f"FINN has no {node.op_type} for {both_names(node)}: {error}",
            hint="change the layer, or its folding",
        ) from error
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
        layer=layer_name(node) or layer_of(node.name),
        path=user_name(node),
        files=tuple(files),
        data=tuple(_copy_data(code, node.name, folder)),
        pe=_attribute(layer, "PE"),
        simd=_attribute(layer, "SIMD"),
        cycles=node_cycles(layer),
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


def _write_thresholds(model: ModelWrapper, folder: str, node: Any) -> None:
    """In place of FINN's `generate_params`, whose files can have more stages than the layer."""
    layer = getCustomOp(node)
    write_thresholds(
        Path(folder),
        node.name,
        model.get_initializer(node.input[1]),
        layer.get_nodeattr("PE"),
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
