"""The FINN custom op of the StreamingSplit kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.rtl import register_custom_op
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from finn.custom_op.fpgadataflow.split import StreamingSplit
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.wrapper import packed


@register_custom_op
class StreamingSplit_rtl(StreamingSplit, KernelOp):
    """Parts (..., ChannelsPerStream[i]) of a tensor, cut along its channels.

    Streams carry SIMD channels a beat, which divides every part's channels. A frame takes the sum
    of the channels / SIMD cycles for each vector.
    """

    SOURCE = Path(__file__).with_name("streaming_split.sv")

    def get_nodeattr_types(self) -> dict[str, Any]:
        """FINN's attributes of StreamingSplit and of RTL layers."""
        return StreamingSplit.get_nodeattr_types(self) | RTLBackend.get_nodeattr_types(self)

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python."""
        StreamingSplit.execute_node(self, context, graph)

    def get_exp_cycles(self) -> int:
        """Cycles a frame: one for each beat that comes in."""
        return int(StreamingSplit.get_exp_cycles(self))

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: the state of each output and the count of its beats; none for the data.

        Fitted to Yosys 0.70, synth_xilinx, 2 to 8 streams, 4 to 128 bits, up to 300 beats: within
        2 LUTs.
        """
        channels = self.get_nodeattr("ChannelsPerStream")
        beats = max(channels) // self.get_nodeattr("SIMD")
        return int(2 * len(channels) + 2 * (beats - 1).bit_length() + 1)

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module."""
        simd, channels = self.get_nodeattr("SIMD"), self.get_nodeattr("ChannelsPerStream")
        self.write_module(
            {
                "STREAMS": len(channels),
                "BITS": self.get_instream_width(),
                "BEATS": packed([count // simd for count in channels], 32),
            }
        )
