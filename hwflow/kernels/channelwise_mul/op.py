"""The FINN custom op of the channelwise multiplication kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseMul
from finn.custom_op.fpgadataflow.rtl import register_custom_op
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.channel_constants import ChannelConstants

# Bits of one factor times bits of the other from which a product is a DSP block's work: the
# product then costs about as many LUTs as a Zynq-7020 has for each of its DSP blocks, 240, halved.
_DSP_BITS = 100


@register_custom_op
class ChannelwiseMul_rtl(ChannelConstants, ElementwiseMul):
    """(..., C) times an integer for each channel: see `ChannelConstants`.

    Attribute `resType`: products in `dsp` blocks, in `lut`s, or `auto`, by the size of the factors.
    """

    SOURCE = Path(__file__).with_name("channelwise_mul.sv")

    def get_nodeattr_types(self) -> dict[str, Any]:
        """FINN's attributes of elementwise and of RTL layers, and `resType`."""
        choice = ("s", False, "auto", {"auto", "dsp", "lut"})
        return super().get_nodeattr_types() | {"resType": choice}

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module and its constants."""
        self.write_module(self.write_constants(model) | {"DSP": int(self._in_dsp())})

    def _factors(self) -> tuple[int, int]:
        """Bits of an input and of a constant, signed."""
        return self.lhs_dtype.bitwidth() + (not self.lhs_dtype.signed()), self.constant_bits

    def _in_dsp(self) -> bool:
        wide, narrow = self._factors()
        choice = self.get_nodeattr("resType")
        return choice == "dsp" or (choice == "auto" and wide * narrow >= _DSP_BITS)
