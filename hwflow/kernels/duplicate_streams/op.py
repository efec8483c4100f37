"""The FINN custom op of the DuplicateStreams kernel."""

from __future__ import annotations

from pathlib import Path

from finn.custom_op.fpgadataflow.duplicatestreams import DuplicateStreams
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import TransparentLayer


class DuplicateStreams_rtl(KernelOp, TransparentLayer, DuplicateStreams):
    """Copies of a tensor (..., NumChannels) for NumOutputStreams consumers.

    Streams carry PE channels a beat, on every output as on the input. A frame takes its beats'
    number of cycles: NumChannels / PE for each vector.
    """

    BASE = DuplicateStreams
    KERNEL = "duplicate_streams"
    SUMMARY = "copies of a stream; a consumer that stalls costs the others nothing but time"
    RATE = "vectors * NumChannels / PE"
    SUFFIX = "copies"
    SOURCE = Path(__file__).with_name("duplicate_streams.sv")

    def sizes(self) -> dict[str, int]:
        """Channels."""
        return {"pe": int(self.get_nodeattr("NumChannels"))}

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
