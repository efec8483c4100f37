"""The layer of sliding windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from finn.custom_op.fpgadataflow import convolutioninputgenerator as operation
from finn.custom_op.fpgadataflow.rtl import convolutioninputgenerator_rtl as finn
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.errors import HwflowError
from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.finn_library import FinnLayer, rtl_library
from hwflow.kernels.layer import Range
from hwflow.kernels.layer_names import user_name
from hwflow.kernels.windows.controller import controller, parallel_controller
from hwflow.kernels.windows.emulation import SlidingWindows
from hwflow.kernels.windows.geometry import Windows, cycles_of_windows
from hwflow.kernels.windows.reading import ImagePreparation, WindowReader

PARALLEL = "parallel_window"


class ConvolutionInputGenerator_rtl(
    FinnLayer, ImagePreparation, finn.ConvolutionInputGenerator_rtl
):
    """Windows (1, H', W', kh kw C) of an image (1, H, W, C), from a buffer of a few of its rows.

    With `parallel_window` all of a window comes at a time, else SIMD channels of a position. With
    `depthwise` all positions of SIMD channels come before those of the next.
    """

    BASE = operation.ConvolutionInputGenerator
    KERNEL = "windows"
    SUMMARY = "every window of an image, position by position or all of it at a time"
    RATE = "max(pixels, window pixels) * C / SIMD, and what the buffer waits; a pixel if parallel"
    SUFFIX = "windows"
    MAKES_WINDOWS = True

    def channels(self) -> int:
        """Channels of the image."""
        return int(self.get_nodeattr("IFMChannels"))

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Channels at a time, and whether all of a window is."""
        return {**super().choices(), PARALLEL: (0, 1)}

    def follow(self, model: ModelWrapper, reader: WindowReader, folding: Mapping[str, int]) -> None:
        """Move as many channels as the reader reads, or whole windows if it reads such."""
        channels = self.channels()
        reads = math.gcd(reader.reads(), channels)
        whole = reader.reads_whole_windows()
        simd, parallel = folding.get("simd", reads), folding.get(PARALLEL, int(whole))
        if reader.CHANNEL_BY_CHANNEL and (simd != reads or parallel != whole):
            raise HwflowError(
                f"{user_name(self.onnx_node)} moves other channels than"
                f" {user_name(reader.onnx_node)}, which has pe {reads}",
                hint="leave the windows out of the file: they follow their layer",
            )
        if parallel and not reader.CHANNEL_BY_CHANNEL and simd != channels:
            raise HwflowError(
                "windows that are parallel move all channels at a time", hint=f"simd: {channels}"
            )
        self.set_nodeattr("SIMD", simd)
        self.set_nodeattr(PARALLEL, parallel)

    @property
    def windows(self) -> Windows:
        """What is read, and how."""
        height, width = self.get_nodeattr("IFMDim")
        return Windows(
            (height, width),
            tuple(self.get_nodeattr("ConvKernelDim")),
            tuple(self.get_nodeattr("Stride")),
            tuple(self.get_nodeattr("Dilation")),
            self.channels() // self.get_nodeattr("SIMD"),
            bool(self.get_nodeattr("depthwise")),
        )

    def cycles(self) -> int:
        """Cycles a frame, exactly."""
        windows = self.windows
        if self.select_impl_style() == "parallel":
            # A word a cycle; a window that ends with the last word goes out in a cycle of its own.
            return windows.words + (windows.unused == 0)
        return cycles_of_windows(windows)

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """Every window."""
        return self.sliding()

    def sliding(self) -> SlidingWindows:
        """The windows, for what slides over the image itself."""
        names = ("ConvKernelDim", "Stride", "Dilation")
        return SlidingWindows(*(self.get_nodeattr(name) for name in names))

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """That of the image, for each tap."""
        low, high = inputs[0]
        taps = math.prod(self.get_nodeattr("ConvKernelDim"))
        return np.tile(low, taps), np.tile(high, taps)

    def output_order(self) -> NDArray[np.int64] | None:
        """For a depthwise layer or a pool: as many channels at a time as that has PE, all taps of
        them, then the next."""
        if not self.get_nodeattr("depthwise"):
            return None
        channels, simd = self.channels(), self.get_nodeattr("SIMD")
        shape = self.get_normal_output_shape()
        places = np.arange(math.prod(shape))
        folded = places.reshape(-1, shape[-1] // channels, channels // simd, simd)
        return folded.transpose(0, 2, 1, 3).reshape(-1)

    # -------------------------------------------------------------------------------- RTL

    def get_buffer_depth(self) -> int:
        """Words of the buffer: FINN's, or as many as a window skips at once, if more."""
        if self.select_impl_style() == "default":
            return self.windows.buffer
        return int(super().get_buffer_depth())

    def prepare_codegen_default(self) -> tuple[Any, dict[str, list[str]]]:
        """FINN's template, and what goes into its places."""
        simd = self.get_nodeattr("SIMD")
        values = controller(self.windows) | {"SIMD": simd, "MMV_IN": 1, "MMV_OUT": 1}
        return str(rtl_library() / "swg/swg_template_default.sv"), _places(values)

    def prepare_codegen_parallel(self) -> tuple[Any, dict[str, list[str]]]:
        """FINN's template and registers, which the height of the image does not change, and this
        image's own controller."""
        node = onnx.NodeProto()
        node.CopyFrom(self.onnx_node)
        higher = type(self)(node)
        height, width = self.get_nodeattr("IFMDim")
        # FINN would fail where its own controller of so few windows has nothing to count.
        higher.set_nodeattr("IFMDim", [height + 3 * self.get_nodeattr("Stride")[0], width])
        template, values = finn.ConvolutionInputGenerator_rtl.prepare_codegen_parallel(higher)
        return template, values | _places(parallel_controller(self.windows))


def _places(values: Mapping[str, object]) -> dict[str, list[str]]:
    return {f"${name}$": [str(value)] for name, value in values.items()}
