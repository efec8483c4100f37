"""The FINN custom op of the width converter."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.streamingdatawidthconverter import StreamingDataWidthConverter
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import TransparentLayer


class WidthConverter_rtl(KernelOp, TransparentLayer, StreamingDataWidthConverter):
    """The same tensor with inWidth bits a beat in and outWidth bits a beat out, of any ratio.

    A frame takes max(beats in, beats out) cycles. FINN's converter goes over the least common
    multiple of the widths and is slower where neither divides the other: from 64 to 36 bits it
    takes 24 cycles for 16 beats.
    """

    BASE = StreamingDataWidthConverter
    KERNEL = "width_converter"
    SUMMARY = "the same numbers with more or fewer a beat, at full rate for any ratio"
    RATE = "max(beats in, beats out)"
    SUFFIX = "width"
    SOURCE = Path(__file__).with_name("width_converter.sv")

    def sizes(self) -> dict[str, int]:
        """Nothing: the layers around it say what it carries."""
        return {}

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python: the numbers stay, their shape may change."""
        node = self.onnx_node
        context[node.output[0]] = context[node.input[0]].reshape(self.get_normal_output_shape())

    def get_exp_cycles(self) -> int:
        """Cycles a frame: the beats of the narrower side."""
        shapes = self.get_folded_input_shape(), self.get_folded_output_shape()
        return int(max(math.prod(shape[:-1]) for shape in shapes))

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: the multiplexers of four that cut an output out of the last inputs, and a count.

        Fitted to Yosys 0.70, synth_xilinx, 4 to 1024 bits on either side: within 20 % (25 % where
        one beat is cut into more than a hundred), and 8 LUTs.
        """
        before, after = self.get_instream_width(), self.get_outstream_width()
        unit = math.gcd(before, after)
        before, after = before // unit, after // unit
        if before == 1:
            return int((after - 1).bit_length() + 2)
        bits, steps = 0, (before - 1).bit_length()
        while steps > 0:
            steps = max(steps - 2, 0)
            bits += (after + 2**steps - 1) * unit
        return int(1.15 * bits) + 10

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module."""
        self.write_module(
            {"IN_BITS": self.get_instream_width(), "OUT_BITS": self.get_outstream_width()}
        )
