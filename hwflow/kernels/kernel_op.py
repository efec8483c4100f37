"""What the layers share whose RTL is a kernel of hwflow's form, in FINN's ports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend

from hwflow.kernels import cells, stream_rule
from hwflow.kernels.layer import HardwareLayer
from hwflow.kernels.wrapper import kernel_wrapper


class KernelOp(HardwareLayer):
    """A layer whose module wraps a kernel, SystemVerilog with the ports that `wrapper` names.

    A class derives from this first, then from its BASE.

    Inputs whose stream has no width are parameters inside the layer; they come after the streams.

    Attributes:
        SOURCE: the kernel's SystemVerilog, called as its module.
        SHARED: SystemVerilog of modules in it that other kernels have too.
    """

    SOURCE: ClassVar[Path]
    SHARED: ClassVar[tuple[Path, ...]] = ()

    def get_nodeattr_types(self) -> dict[str, Any]:
        """The attributes of the operation and of RTL layers."""
        base: dict[str, Any] = self.BASE.get_nodeattr_types(self)
        own: dict[str, Any] = RTLBackend.get_nodeattr_types(self)
        return base | own

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python, as the operation does."""
        self.BASE.execute_node(self, context, graph)

    @property
    def source(self) -> Path:
        """The SystemVerilog of this layer's kernel."""
        return self.SOURCE

    def write_module(self, parameters: Mapping[str, object]) -> None:
        """Write the layer's module, the kernel with these parameters and FINN's ports."""
        name = self.onnx_node.name
        inputs = [self.get_instream_width(i) for i in range(len(self.onnx_node.input))]
        text = kernel_wrapper(
            name,
            self.source.stem,
            parameters,
            in_widths=[width for width in inputs if width],
            out_widths=[self.get_outstream_width(i) for i in range(len(self.onnx_node.output))],
        )
        (self.folder / f"{name}.sv").write_text(text)
        self.set_nodeattr("gen_top_module", name)

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """The kernel's sources and the layer's module."""
        files = [
            stream_rule.SOURCE,
            *cells.needed_by([*self.SHARED, self.source]),
            *self.SHARED,
            self.source,
            self.folder / f"{self.onnx_node.name}.sv",
        ]
        return [str(file) if abspath else file.name for file in files]

    def code_generation_ipi(self) -> list[str]:
        """Vivado IP integrator commands that add the sources and place the layer."""
        name = self.onnx_node.name
        add = [f"add_files -norecurse {file}" for file in self.get_rtl_file_list(abspath=True)]
        return [*add, f"create_bd_cell -type module -reference {name} {name}"]
