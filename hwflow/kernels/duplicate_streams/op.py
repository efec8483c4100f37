"""The FINN custom op of the DuplicateStreams kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.duplicatestreams import DuplicateStreams
from finn.custom_op.fpgadataflow.rtl import register_custom_op
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.kernel_op import KernelOp


@register_custom_op
class DuplicateStreams_rtl(DuplicateStreams, KernelOp):
    """Copies of a tensor (..., NumChannels) for NumOutputStreams consumers.

    Streams carry PE channels a beat, on every output as on the input. A frame takes its beats'
    number of cycles: NumChannels / PE for each vector.
    """

    SOURCE = Path(__file__).with_name("duplicate_streams.sv")

    def get_nodeattr_types(self) -> dict[str, Any]:
        """FINN's attributes of DuplicateStreams and of RTL layers."""
        return DuplicateStreams.get_nodeattr_types(self) | RTLBackend.get_nodeattr_types(self)

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python."""
        DuplicateStreams.execute_node(self, context, graph)

    def get_exp_cycles(self) -> int:
        """Cycles a frame: one for each beat."""
        return int(DuplicateStreams.get_exp_cycles(self))

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: the state of each output; the data costs flip-flops only.

        Fitted to Yosys 0.70, synth_xilinx, 1 to 8 outputs of 1 to 256 bits: within 1.
        """
        return int(2 * self.get_num_output_streams())

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module."""
        self.write_module(
            {"COPIES": self.get_num_output_streams(), "BITS": self.get_instream_width()}
        )
