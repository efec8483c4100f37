"""The FINN custom op of the global pooling kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.globalaccpool import GlobalAccPool
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.global_acc_pool.emulation import GlobalSum
from hwflow.kernels.integer_types import integer_type, number_parameters
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import Range, magnitude
from hwflow.kernels.memory import Memory


class GlobalAccPool_rtl(KernelOp, GlobalAccPool):
    """Sum of (1, H, W, C) over all pixels, (1, 1, 1, C).

    Takes H * W * C / PE cycles a frame: sums leave while the last pixel comes in.
    """

    BASE = GlobalAccPool
    KERNEL = "global_acc_pool"
    SUMMARY = "sum of each channel over all pixels"
    RATE = "pixels * C / PE"
    KIND = "pool"
    TAKES_IMAGE = True
    SOURCE = Path(__file__).with_name("global_acc_pool.sv")

    def sizes(self) -> dict[str, int]:
        """Channels."""
        return {"pe": int(self.get_nodeattr("NumChannels"))}

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """A sum in floats that hold it."""
        incoming = model.get_tensor_datatype(self.onnx_node.input[0])
        return GlobalSum(self.pixels * magnitude(incoming))

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """That of a pixel, times the pixels."""
        return self.pixels * inputs[0][0], self.pixels * inputs[0][1]

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return math.prod(self.get_nodeattr("numInputVectors"))

    @property
    def folds(self) -> int:
        """Transfers of a pixel."""
        return int(self.get_nodeattr("NumChannels") // self.get_nodeattr("PE"))

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
        luts: int = round(self.memory.luts(fpgapart) + self.get_outstream_width() + state)
        return luts

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
