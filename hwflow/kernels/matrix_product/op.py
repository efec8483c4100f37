"""Products of vectors and a matrix, also those of windows: convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.costs import Folding, divisors
from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.folding import matches, stream_into, too_slow
from hwflow.kernels.layer import Range, magnitude
from hwflow.kernels.matrix_product.emulation import Linear
from hwflow.kernels.multiplying import MultiplyingLayer
from hwflow.kernels.windows.convolution import Convolution
from hwflow.kernels.windows.reading import (
    WindowReader,
    fast_simd,
    fold_padding,
    is_fast,
    padding_before,
    windows_before,
)


class MatrixProduct(WindowReader, MultiplyingLayer):
    """Vectors (..., MW) times a matrix (MW, MH).

    A layer of MH neurons with MW inputs computes PE neurons and SIMD inputs of each at a time and
    needs (MH / PE)(MW / SIMD) cycles for each vector (Blott et al. 2018, section 4.2).
    """

    BASE = MVAU
    RATE = "pixels * (MW / SIMD) * (MH / PE)"
    CHANNEL_BY_CHANNEL = False

    def layer_kind(self) -> str:
        """A convolution where the vectors are the windows of an image."""
        return "conv" if len(self.get_nodeattr("numInputVectors")) > 1 else "linear"

    # ---------------------------------------------------------------------------- folding

    def sizes(self) -> dict[str, int]:
        """Neurons and inputs."""
        return {"pe": int(self.get_nodeattr("MH")), "simd": int(self.get_nodeattr("MW"))}

    def fold(self, model: ModelWrapper, cycles: int) -> None:
        """Take the fewest multipliers that meet the bound.

        Among such foldings, one is taken whose input stream is a whole multiple or fraction of the
        stream that feeds it, for then the width converter between them is small; then the one that
        reads more inputs and makes fewer outputs at a time, for the thresholds are copied for each
        output.
        """
        windows = windows_before(model, self)
        if windows is None:
            incoming = stream_into(model, self.onnx_node.input[0])
            choice = self._least(cycles, lambda simd: matches(incoming, simd))
            self._take(choice)
            fold_padding(padding_before(model, self), choice.simd, cycles)
            return
        channels = windows.channels()
        if is_fast(windows, channels, cycles, parallel=False):
            choice = self._least(cycles, lambda simd: channels % simd == 0)
            simd = fast_simd(windows, choice.simd, cycles)
        else:
            if not is_fast(windows, channels, cycles, parallel=True):
                raise too_slow(windows, cycles)
            choice, simd = self._least(cycles, lambda simd: True), channels
        self._take(choice)
        fold_padding(padding_before(model, windows), simd, cycles)

    def _least(self, cycles: int, suits: Callable[[int], bool]) -> Folding:
        sizes, vectors = self.sizes(), math.prod(self.get_nodeattr("numInputVectors"))
        choices = [
            ((pe * simd, not suits(simd), pe), Folding(pe, simd))
            for pe in divisors(sizes["pe"])
            for simd in divisors(sizes["simd"])
            if (sizes["pe"] // pe) * (sizes["simd"] // simd) * vectors <= cycles
        ]
        if not choices:
            raise too_slow(self, cycles)
        return min(choices, key=lambda choice: choice[0])[1]

    def _take(self, folding: Folding) -> None:
        self.set_nodeattr("PE", folding.pe)
        self.set_nodeattr("SIMD", folding.simd)

    # ---------------------------------------------------------------------------- numbers

    def slides(self, windows: Any) -> bool:
        """A convolution may; a linear layer may read a whole image of windows of one pixel."""
        return bool(self.get_nodeattr("MW") == windows.get_normal_output_shape()[-1])

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """A product in floats that hold every sum."""
        self.check_no_thresholds()
        bound = magnitude(model.get_tensor_datatype(self.onnx_node.input[0]))
        weights = self.parameter(model, 1)
        if windows is None:
            return Linear(weights, bound, self.get_nodeattr("numInputVectors")[1:])
        kernel = windows.get_nodeattr("ConvKernelDim")
        kernels = weights.T.reshape(-1, *kernel, windows.channels()).transpose(0, 3, 1, 2)
        strides, dilations = windows.get_nodeattr("Stride"), windows.get_nodeattr("Dilation")
        return Convolution(kernels, bound, strides, dilations, groups=1)

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """Sums of the ends that the signs of the weights choose."""
        matrix = self.parameter(model, 1)
        low, high = (np.tile(end, len(matrix) // len(end)) for end in inputs[0])
        positive, negative = np.maximum(matrix, 0), np.minimum(matrix, 0)
        return low @ positive + high @ negative, high @ positive + low @ negative
