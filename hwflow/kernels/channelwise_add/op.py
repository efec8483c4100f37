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
        """LUTs: an adder for each PE, the constants, and the state."""
        return 0

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module and its constants."""
        self.write_module(self.write_constants(model))
