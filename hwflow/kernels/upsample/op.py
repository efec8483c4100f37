"""The FINN custom op of the upsampling kernel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.upsampler import UpsampleNearestNeighbour
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.errors import HwflowError
from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import MovingLayer, Range
from hwflow.kernels.memory import Memory
from hwflow.kernels.upsample.emulation import Repeat


class UpsampleNearestNeighbour_rtl(KernelOp, MovingLayer, UpsampleNearestNeighbour):
    """Upsampling of (1, HI, WI, C) to (1, HO, WO, C) by whole factors HO / HI and WO / WI.

    Takes HO * WO * C / SIMD cycles a frame, as FINN estimates.
    """

    BASE = UpsampleNearestNeighbour
    KERNEL = "upsample"
    SUMMARY = "pixels repeated in their row and by rows, whole factors"
    RATE = "output pixels * C / SIMD"
    KIND = "upsample"
    SOURCE = Path(__file__).with_name("upsample.sv")

    def sizes(self) -> dict[str, int]:
        """Channels."""
        return {"simd": int(self.get_nodeattr("NumChannels"))}

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """Pixels repeated."""
        return Repeat(self.scales)

    def get_exp_cycles(self) -> int:
        """Cycles a frame."""
        return math.prod(self.get_folded_output_shape()[:-1])

    @property
    def scales(self) -> tuple[int, int]:
        """Factors of height and width.

        Raises:
            HwflowError: one is not whole.
        """
        sizes = {name: int(self.get_nodeattr(name)) for name in ("HI", "WI", "HO", "WO")}
        if sizes["HO"] % sizes["HI"] or sizes["WO"] % sizes["WI"]:
            raise HwflowError(
                f"{self.onnx_node.name}: {sizes['HI']}x{sizes['WI']} pixels can't become"
                f" {sizes['HO']}x{sizes['WO']}",
                hint="hardware upsamples by whole factors",
            )
        return sizes["HO"] // sizes["HI"], sizes["WO"] // sizes["WI"]

    @property
    def folds(self) -> int:
        """Transfers of a pixel."""
        return int(self.get_nodeattr("NumChannels") // self.get_nodeattr("SIMD"))

    @property
    def memory(self) -> Memory:
        """The line buffer: a row; a pixel where rows are not repeated; nothing where nothing is."""
        rows, columns = self.scales
        pixels = self.get_nodeattr("WI") if rows > 1 else int(columns > 1)
        return Memory(pixels * self.folds, self.get_instream_width(), one_address=True)

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: the line buffer, a choice between it and the stream, the state.

        Fitted to Yosys 0.70, synth_xilinx, transfers of 4 to 512 bits, buffers of 1 to 1024 words:
        within 10 %.
        """
        if not self.memory.words:
            return 2
        state = 8 + 2.2 * (self.memory.words - 1).bit_length()
        luts: int = round(self.memory.luts(fpgapart) + self.get_instream_width() + state)
        return luts

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs (18 kbit) of the line buffer."""
        return self.memory.blocks(fpgapart)

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module."""
        rows, columns = self.scales
        self.write_module(
            {
                "WIDTH": self.get_nodeattr("WI"),
                "FOLDS": self.folds,
                "SCALE_H": rows,
                "SCALE_W": columns,
                "BITS": self.get_instream_width(),
                "RAM_STYLE": f'"{self.memory.style(fpgapart)}"',
            }
        )
