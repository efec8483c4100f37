"""The layer of padding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow import fmpadding as operation
from finn.custom_op.fpgadataflow.rtl import fmpadding_rtl as finn
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.catalogue import hardware_layer
from hwflow.kernels.finn_library import STREAMS, FinnLayer, core_module, unused_axilite
from hwflow.kernels.fm_padding.emulation import Padding
from hwflow.kernels.layer import Range
from hwflow.kernels.windows.reading import ImagePreparation, WindowReader

_CORE = """\
	{name} core (
		.ap_clk(ap_clk), .ap_rst_n(ap_rst_n),
		{axilite},
{streams}
	);"""


class FMPadding_rtl(FinnLayer, ImagePreparation, finn.FMPadding_rtl):
    """Zeros around an image: (1, H, W, C) to (1, H + ..., W + ..., C)."""

    BASE = operation.FMPadding
    KERNEL = "fm_padding"
    SUMMARY = "zeros around an image"
    RATE = "output pixels * C / SIMD"
    SUFFIX = "padding"
    BEGINS_EARLY = True
    MAKES_WINDOWS = False

    def channels(self) -> int:
        """Channels of the image."""
        return int(self.get_nodeattr("NumChannels"))

    def follow(self, model: ModelWrapper, reader: WindowReader, folding: Mapping[str, int]) -> None:
        """Move as many channels as what comes right behind reads."""
        after: Any = hardware_layer(model.find_consumers(self.onnx_node.output[0])[0])
        simd = math.gcd(after.reads(), self.channels())
        self.set_nodeattr("SIMD", folding.get("simd", simd))

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """Zeros."""
        return Padding(self.get_nodeattr("Padding"))

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """That of the image, and 0."""
        low, high = inputs[0]
        return np.minimum(low, 0), np.maximum(high, 0)

    def connection(self) -> str:
        """FINN's core without its configuration port."""
        axilite = unused_axilite(protection=False)
        name = self.onnx_node.name
        return core_module(self, _CORE.format(name=name, axilite=axilite, streams=STREAMS))
