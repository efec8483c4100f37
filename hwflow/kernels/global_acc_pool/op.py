"""The FINN custom op of the global pooling kernel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.globalaccpool import GlobalAccPool
from finn.custom_op.fpgadataflow.rtl import register_custom_op
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.integer_types import integer_type, number_parameters
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.memory import Memory


@register_custom_op
class GlobalAccPool_rtl(GlobalAccPool, KernelOp):
    """Sum of (1, H, W, C) over all pixels, (1, 1, 1, C).

    Takes H * W * C / PE cycles a frame: sums leave while the last pixel comes in.
    """

    SOURCE = Path(__file__).with_name("global_acc_pool.sv")

    def get_nodeattr_types(self) -> dict[str, Any]:
        """FINN's attributes of GlobalAccPool and of RTL layers."""
        return GlobalAccPool.get_nodeattr_types(self) | RTLBackend.get_nodeattr_types(self)

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return math.prod(self.get_nodeattr("numInputVectors"))

    @property
    def folds(self) -> int:
        """Transfers of a pixel."""
        return self.get_nodeattr("NumChannels") // self.get_nodeattr("PE")

    def get_output_datatype(self, ind: int = 0) -> Any:
        """The narrowest type that holds all sums.

        FINN's holds the one of the greatest magnitude: of bipolar numbers, the least.
        """
        datatype = self.get_input_datatype()
        return integer_type(self.pixels * int(datatype.min()), self.pixels * int(datatype.max()))

    def get_exp_cycles(self) -> int:
        """Cycles a frame."""
        return self.pixels * self.folds

    @property
    def memory(self) -> Memory:
        """Partial sums of a pixel; where it is one transfer they are a register."""
        return Memory(self.folds if self.folds > 1 else 0, self.get_outstream_width())

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: partial sums, an adder for each PE, the state.

        Fitted to Yosys 0.70, synth_xilinx, 2 to 8 bits, 4x4 to 8x8 pixels, 64 to 2048
        channels, PE 1 to 64: within 10 %.
        """
        state = 3 + (self.pixels - 1).bit_length() + (self.folds - 1).bit_length() / 2
        return round(self.memory.luts(fpgapart) + self.get_outstream_width() + state)

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs (18 kbit) of partial sums."""
        return self.memory.blocks(fpgapart)

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module."""
        self.write_module(
            {
                "PIXELS": self.pixels,
                "FOLDS": self.folds,
                "PE": self.get_nodeattr("PE"),
                **number_parameters(self.get_input_datatype(), self.onnx_node.name),
                "ACC_BITS": self.get_output_datatype().bitwidth(),
                "RAM_STYLE": f'"{self.memory.style(fpgapart)}"',
            }
        )
