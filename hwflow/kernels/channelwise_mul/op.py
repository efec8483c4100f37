"""The FINN custom op of the channelwise multiplication kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseMul
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.families import family_of
from hwflow.kernels.arithmetic import Layer, Sum
from hwflow.kernels.channel_constants import ChannelConstants
from hwflow.kernels.layer import Range

# Bits of one factor times bits of the other from which a product is a DSP block's work: it would
# cost about half of the LUTs that a Zynq-7020 has for each of its DSP blocks.
_DSP_BITS = 100


class ChannelwiseMul_rtl(ChannelConstants, ElementwiseMul):
    """(..., C) times an integer for each channel: see `ChannelConstants`.

    Attribute `resType`: products in `dsp` blocks, in `lut`s, or `auto`, by the size of the factors.
    """

    BASE = ElementwiseMul
    KERNEL = "channelwise_mul"
    SUMMARY = "each channel multiplied by an integer of its own, in LUTs or DSP blocks"
    SUFFIX = "signs"
    SOURCE = Path(__file__).with_name("channelwise_mul.sv")

    @classmethod
    def implements(cls, model: ModelWrapper, node: onnx.NodeProto) -> bool:
        """Where the second operand is a constant."""
        return len(node.input) == 2 and model.get_initializer(node.input[1]) is not None

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """A product."""
        return Sum(self.parameter(model, 1).reshape(-1), self.bound(model), multiply=True)

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """Products of the ends; which is the less, the sign of the constant says."""
        constant = self.parameter(model, 1).reshape(-1)
        ends = [end * constant for end in inputs[0]]
        return np.minimum(*ends), np.maximum(*ends)

    def get_nodeattr_types(self) -> dict[str, Any]:
        """FINN's attributes of elementwise and of RTL layers, and `resType`."""
        choice = ("s", False, "auto", {"auto", "dsp", "lut"})
        return super().get_nodeattr_types() | {"resType": choice}

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: without DSP blocks an adder for each bit but one of the narrower factor, which
        known constants simplify; the constants, the state.

        Fitted to Yosys 0.70, synth_xilinx, factors of 3 to 16 bits, PE 1 to 16, 1 to 256 words of
        constants: within 20 %.
        """
        wide, narrow = max(self._factors()), min(self._factors())
        known = {1: 0.22, 2: 0.65, 3: 0.85, 4: 0.85}.get(self.folds, 1.0)
        product = 0 if self._in_dsp() else known * 1.1 * (narrow - 1) * (wide + 1)
        luts: int = round(self.get_nodeattr("PE") * product + self.memory.luts(fpgapart) + 6)
        return luts

    def dsp_estimation(self, fpgapart: str) -> int:
        """DSP blocks, as Yosys 0.70 places them from 9 bits of product on: below it takes LUTs."""
        factors, widths = self._factors(), family_of(fpgapart).fabric.multiplier
        if not self._in_dsp():
            return 0
        return int(self.get_nodeattr("PE")) * min(
            _pieces(factors[0], first) * _pieces(factors[1], second)
            for first, second in (widths, widths[::-1])
        )

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module and its constants."""
        self.write_module(self.write_constants(model, fpgapart) | {"DSP": int(self._in_dsp())})

    def _factors(self) -> tuple[int, int]:
        """Bits of an input and of a constant, signed."""
        return self.lhs_dtype.bitwidth() + (not self.lhs_dtype.signed()), self.constant_bits

    def _in_dsp(self) -> bool:
        wide, narrow = self._factors()
        choice = self.get_nodeattr("resType")
        return choice == "dsp" or (choice == "auto" and wide * narrow >= _DSP_BITS)


def _pieces(bits: int, limit: int) -> int:
    """Pieces of a factor, of which all but one lose a bit to the sign."""
    return 1 if bits <= limit else 1 + math.ceil((bits - limit) / (limit - 1))
