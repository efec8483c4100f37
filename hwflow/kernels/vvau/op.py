"""The FINN custom op of the depthwise kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from finn.custom_op.fpgadataflow.vectorvectoractivation import VVAU
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.costs import products
from hwflow.costs.products import Products, takes_dsps
from hwflow.families import family_of
from hwflow.kernels import dot_product, weight_memory
from hwflow.kernels.arithmetic import Layer, Sum
from hwflow.kernels.folding import too_slow
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import Range, magnitude
from hwflow.kernels.multiplying import MultiplyingLayer, Unit
from hwflow.kernels.numbers import kind, memory_file, number, weight_words
from hwflow.kernels.windows.convolution import Convolution
from hwflow.kernels.windows.reading import (
    WindowReader,
    fold_channels,
    fold_padding,
    padding_before,
    windows_before,
)


class VVAU_rtl(WindowReader, MultiplyingLayer, KernelOp, VVAU):
    """Depthwise convolution of windows (1, H, W, Kernel * Channels), on every FPGA family.

    It takes the place of FINN's op of the same name, which is for Versal parts. A window's values
    come as FINN's depthwise sliding window puts them out, by (Channels / PE, Kernel, PE); weights
    are (Channels, 1, height, width); the output is (1, H, W, Channels), signed sums, also of
    bipolar numbers. Weights and inputs have 1 to 8 bits: unsigned, two's complement or bipolar.

    Attribute resType: "dsp" for products in DSP blocks, where they are wide enough for that (see
    `costs.products.takes_dsps`); else products are made of LUTs.
    """

    BASE = VVAU
    KERNEL = "vvau"
    SUMMARY = "depthwise product of 1 to 8 bit weights and inputs, in LUTs or DSPs"
    RATE = "pixels * (window / SIMD) * (Channels / PE)"
    KIND = "conv"
    CHANNEL_BY_CHANNEL = True
    SOURCE = Path(__file__).with_name("vvau.sv")
    SHARED = (dot_product.SOURCE, weight_memory.SOURCE)

    def units(self, model: ModelWrapper) -> Mapping[Unit, onnx.NodeProto]:
        """LUTs, or DSP blocks where products are wide enough for them."""
        luts = self.on_luts(model)
        if not takes_dsps(self.products.weights, self.products.inputs):
            return {"lut": luts}
        return {"lut": luts, "dsp": self.copy(resType="dsp")}

    def sizes(self) -> dict[str, int]:
        """Channels, and taps of each."""
        taps = math.prod(self.get_nodeattr("Kernel"))
        return {"pe": int(self.get_nodeattr("Channels")), "simd": taps}

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Any channels; one tap at a time or all: windows in part would come in another order."""
        return {**super().choices(), "simd": tuple(sorted({1, self.sizes()["simd"]}))}

    def fold(self, model: ModelWrapper, cycles: int) -> None:
        """Take the fewest channels at a time that meet the bound, in the windows too; all taps at a
        time where it can't be met otherwise."""
        windows = windows_before(model, self)
        self.set_nodeattr("SIMD", 1)
        if not fold_channels(self, windows, cycles, parallel=False):
            self.set_nodeattr("SIMD", self.sizes()["simd"])
            if windows is None or not fold_channels(self, windows, cycles, parallel=True):
                raise too_slow(self, cycles)
        padding = padding_before(model, self if windows is None else windows)
        fold_padding(padding, self.get_nodeattr("PE"), cycles)

    def reads_whole_windows(self) -> bool:
        """Where it multiplies all taps at a time."""
        return bool(self.get_nodeattr("SIMD") > 1)

    def slides(self, windows: Any) -> bool:
        """Always."""
        return True

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """A convolution by channel, or with one tap a product."""
        self.check_no_thresholds()
        bound = magnitude(model.get_tensor_datatype(self.onnx_node.input[0]))
        weights = self.parameter(model, 1)
        if windows is None:
            greatest = max(bound * int(np.abs(weights).max()), bound)
            return Sum(weights.reshape(-1), greatest, multiply=True)
        strides, dilations = windows.get_nodeattr("Stride"), windows.get_nodeattr("Dilation")
        return Convolution(weights, bound, strides, dilations, groups=len(weights))

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """Sums of the ends that the signs of the weights choose."""
        kernels = self.parameter(model, 1).reshape(self.get_nodeattr("Channels"), -1)
        low, high = (end.reshape(-1, len(kernels)).T for end in inputs[0])
        positive, negative = np.maximum(kernels, 0), np.minimum(kernels, 0)
        return (
            (low * positive + high * negative).sum(axis=1),
            (high * positive + low * negative).sum(axis=1),
        )

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of the input stream; weights are inside the layer and no stream."""
        return VVAU.get_instream_width(self) if ind == 0 else 0

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python."""
        node = self.onnx_node
        channels, pe = self.get_nodeattr("Channels"), self.get_nodeattr("PE")
        height, width = self.get_nodeattr("Dim")
        kernel = math.prod(self.get_nodeattr("Kernel"))
        windows = context[node.input[0]].reshape(height, width, channels // pe, kernel, pe)
        weights = context[node.input[1]].reshape(channels // pe, pe, kernel)
        sums = np.einsum("hwnkp,npk->hwnp", windows, weights)
        context[node.output[0]] = sums.reshape(context[node.output[0]].shape).astype(np.float32)

    @property
    def on_dsps(self) -> bool:
        """Whether products are made in DSP blocks."""
        wanted = self.get_nodeattr("resType") == "dsp"
        return wanted and takes_dsps(self.products.weights, self.products.inputs)

    @property
    def products(self) -> Products:
        """The unit as costs see it."""
        return Products(
            terms=math.prod(self.get_nodeattr("Kernel")),
            outputs=self.get_nodeattr("Channels"),
            simd=self.get_nodeattr("SIMD"),
            pe=self.get_nodeattr("PE"),
            weights=number(self.get_input_datatype(1)),
            inputs=number(self.get_input_datatype(0)),
            sum_bits=self.get_output_datatype().bitwidth(),
            depthwise=True,
        )

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs as `costs.products` counts them, whose fit is said there."""
        count = products.luts_beside_dsps if self.on_dsps else products.luts
        return count(self.products, family_of(fpgapart).fabric.memories)

    def dsp_estimation(self, fpgapart: str) -> int:
        """A DSP block for each product, or none."""
        return int(self.on_dsps * self.get_nodeattr("PE") * self.get_nodeattr("SIMD"))

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs (18 kbit) of weights."""
        unit, memories = self.products, family_of(fpgapart).fabric.memories
        return products.memory(unit.words, unit.word_bits, memories)[1]

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module and its weights."""
        name = self.onnx_node.name
        weights, inputs = self.get_input_datatype(1), self.get_input_datatype(0)
        kernels = model.get_initializer(self.onnx_node.input[1])
        matrix = kernels.reshape(len(kernels), -1)
        words = weight_words(matrix, self.get_nodeattr("PE"), self.get_nodeattr("SIMD"))
        (self.folder / f"{name}_weights.dat").write_text(memory_file(words, weights))
        self.write_module(
            {
                "CHANNELS": self.get_nodeattr("Channels"),
                "KERNEL": math.prod(self.get_nodeattr("Kernel")),
                "PE": self.get_nodeattr("PE"),
                "SIMD": self.get_nodeattr("SIMD"),
                "W_BITS": weights.bitwidth(),
                "X_BITS": inputs.bitwidth(),
                "W_KIND": kind(weights),
                "X_KIND": kind(inputs),
                "ACC_BITS": self.get_output_datatype().bitwidth(),
                "DSP": f"1'b{int(self.on_dsps)}",
                "WEIGHTS": f'"./{name}_weights.dat"',
            }
        )
