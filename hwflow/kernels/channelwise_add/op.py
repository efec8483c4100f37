"""The FINN custom op of the channelwise addition kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.arithmetic import Layer, Sum
from hwflow.kernels.channel_constants import ChannelConstants
from hwflow.kernels.layer import Range


class ChannelwiseAdd_rtl(ChannelConstants, ElementwiseAdd):
    """(..., C) plus an integer for each channel: see `ChannelConstants`."""

    BASE = ElementwiseAdd
    KERNEL = "channelwise_add"
    SUMMARY = "an integer of its own added to each channel"
    SUFFIX = "shift"
    SOURCE = Path(__file__).with_name("channelwise_add.sv")

    @classmethod
    def implements(cls, model: ModelWrapper, node: onnx.NodeProto) -> bool:
        """Where the second operand is a constant."""
        return len(node.input) == 2 and model.get_initializer(node.input[1]) is not None

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """A sum."""
        return Sum(self.parameter(model, 1).reshape(-1), self.bound(model), multiply=False)

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """That of what comes, shifted."""
        constant = self.parameter(model, 1).reshape(-1)
        return inputs[0][0] + constant, inputs[0][1] + constant

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: an adder for each PE, which known constants simplify, the constants, the state.

        Fitted to Yosys 0.70, synth_xilinx, inputs of 4 to 16 bits, constants of 6 to 16, PE 1 to
        64, 1 to 2048 words of constants: within 12 %.
        """
        known = {1: 0.42, 2: 0.6, 3: 0.6, 4: 0.6}.get(self.folds, 1.0)
        luts: int = round(known * self.get_outstream_width() + self.memory.luts(fpgapart) + 5)
        return luts

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module and its constants."""
        self.write_module(self.write_constants(model, fpgapart))
