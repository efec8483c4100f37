"""The FINN custom op of the channelwise addition kernel."""

from __future__ import annotations

from pathlib import Path

from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd
from finn.custom_op.fpgadataflow.rtl import register_custom_op
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.channel_constants import ChannelConstants


@register_custom_op
class ChannelwiseAdd_rtl(ChannelConstants, ElementwiseAdd):
    """(..., C) plus an integer for each channel: see `ChannelConstants`."""

    SOURCE = Path(__file__).with_name("channelwise_add.sv")

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: an adder for each PE, which known constants simplify, the constants, the state.

        Fitted to Yosys 0.70, synth_xilinx, inputs of 4 to 16 bits, constants of 6 to 16, PE 1 to
        64, 1 to 2048 words of constants: within 12 %.
        """
        known = {1: 0.42, 2: 0.6, 3: 0.6, 4: 0.6}.get(self.folds, 1.0)
        return round(known * self.get_outstream_width() + self.memory.luts(fpgapart) + 5)

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module and its constants."""
        self.write_module(self.write_constants(model, fpgapart))
