"""The FINN custom op of the pooling kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.pool import Pool
from numpy.typing import NDArray
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.errors import HwflowError
from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.folding import too_slow
from hwflow.kernels.integer_types import integer_type, number_parameters
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import Range, magnitude
from hwflow.kernels.pool.emulation import WindowPool
from hwflow.kernels.windows.reading import (
    WindowReader,
    fold_channels,
    fold_padding,
    padding_before,
    windows_before,
)


class Pool_rtl(WindowReader, KernelOp, Pool):
    """Pooling of windows (1, H, W, K C), K positions of C channels, to (1, H, W, C).

    Functions, of each channel over the K positions:

    - MaxPool: the maximum;
    - AccPool: the sum;
    - QuantAvgPool: the sum, `Size` bits of it cut off, rounded down; as QONNX's QuantAvgPool2d,
      whose number of bits FINN keeps in `Size`.

    The stream is that of a ConvolutionInputGenerator with depthwise=1: for each output pixel
    C / PE folds of channels, in each the K positions, of each PE channels. The tensor is not in
    this order, see `stream_order`.

    Takes C / PE * K * H * W cycles a frame, as FINN estimates.
    """

    BASE = Pool
    KERNEL = "pool"
    SUMMARY = "maximum, sum or average rounded down of each channel over a window"
    RATE = "output pixels * window * C / PE"
    KIND = "pool"
    CHANNEL_BY_CHANNEL = True
    SOURCE = Path(__file__).with_name("pool.sv")

    def keeps_binary(self) -> bool:
        """The greatest of some numbers is one of them."""
        return bool(self.get_nodeattr("Function") == "MaxPool")

    def sizes(self) -> dict[str, int]:
        """Channels."""
        return {"pe": int(self.get_nodeattr("Channels"))}

    def fold(self, model: ModelWrapper, cycles: int) -> None:
        """Take the fewest channels at a time that meet the bound, in the windows too."""
        windows = windows_before(model, self)
        if not fold_channels(self, windows, cycles, parallel=False):
            raise too_slow(self, cycles)
        padding = padding_before(model, self if windows is None else windows)
        fold_padding(padding, self.get_nodeattr("PE"), cycles)

    def slides(self, windows: Any) -> bool:
        """Always."""
        return True

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """The maximum or sum of the taps.

        Raises:
            HwflowError: it is an average.
        """
        function = self.get_nodeattr("Function")
        if function not in {"MaxPool", "AccPool"}:
            raise HwflowError(f"{self.onnx_node.name}: the pool {function} is not emulated")
        incoming = model.get_tensor_datatype(self.onnx_node.input[0])
        bound = magnitude(incoming) * (1 if function == "MaxPool" else self.positions)
        sliding = None if windows is None else windows.sliding()
        return WindowPool(sliding, function, self.positions, bound)

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """The greatest ends, or their sums."""
        low, high = (end.reshape(-1, self.get_nodeattr("Channels")) for end in inputs[0])
        if self.get_nodeattr("Function") == "MaxPool":
            return low.max(axis=0), high.max(axis=0)
        return low.sum(axis=0), high.sum(axis=0)

    @property
    def positions(self) -> int:
        """Positions K of the window."""
        return math.prod(self.get_nodeattr("KernelSize"))

    def stream_order(self, tensor: NDArray[Any], ind: int = 0) -> NDArray[Any]:
        """Windows (..., K C), position by position, as they come: (..., C / PE, K, PE)."""
        pe = self.get_nodeattr("PE")
        folded = tensor.reshape(*tensor.shape[:-1], self.positions, -1, pe)
        return np.swapaxes(folded, -3, -2)

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python; FINN's, but that an average cuts off `Size` bits.

        FINN's Python takes the bits of the data types instead, its hardware `Size`.
        """
        if self.get_nodeattr("Function") != "QuantAvgPool":
            Pool.execute_node(self, context, graph)
            return
        windows = context[self.onnx_node.input[0]].astype(np.int64)
        sums = windows.reshape(*windows.shape[:-1], self.positions, -1).sum(axis=-2)
        context[self.onnx_node.output[0]] = (sums >> self._shift).astype(np.float32)

    def minimize_accumulator_width(self, model: ModelWrapper, datatype_only: bool = False) -> Any:
        """Give a sum the narrowest type that holds all its values."""
        if self.get_nodeattr("Function") != "AccPool":
            return None
        self.set_nodeattr("OutputDataType", integer_type(*self._range()).name)
        model.set_tensor_datatype(self.onnx_node.output[0], self.get_output_datatype())
        return self.get_output_datatype()

    @property
    def _shift(self) -> int:
        average = self.get_nodeattr("Function") == "QuantAvgPool"
        return int(self.get_nodeattr("Size")) if average else 0

    def _range(self) -> tuple[int, int]:
        """Least and greatest sum."""
        datatype = self.get_input_datatype()
        return self.positions * int(datatype.min()), self.positions * int(datatype.max())

    def _accumulator_bits(self) -> int:
        if self.get_nodeattr("Function") == "MaxPool":
            return int(self.get_input_datatype().bitwidth())
        return int(max(integer_type(*self._range()).bitwidth(), self._shift + 1))

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: an adder, or a comparator and a choice, for each PE, and the state.

        Fitted to Yosys 0.70, synth_xilinx, 1 to 8 bits, windows of 4 to 64 positions, PE 1 to 64:
        within 12 %.
        """
        bits: float = self._accumulator_bits()
        if self.get_nodeattr("Function") == "MaxPool":
            bits = bits if bits <= 2 else 1.75 * bits
        elif self.get_input_datatype() == DataType["BIPOLAR"]:
            bits += 1
        state = 5 + (self.positions - 1).bit_length()
        luts: int = round(self.get_nodeattr("PE") * bits + state)
        return luts

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module.

        Raises:
            HwflowError: the function is a true average, whose values are no integers, or the
                type of the output does not hold all its values.
        """
        self._check()
        self.write_module(
            {
                "BEATS": self.positions,
                "PE": self.get_nodeattr("PE"),
                **number_parameters(self.get_input_datatype(), self.onnx_node.name),
                "SUM": int(self.get_nodeattr("Function") != "MaxPool"),
                "ACC_BITS": self._accumulator_bits(),
                "SHIFT": self._shift,
                "OUT_BITS": self.get_output_datatype().bitwidth(),
            }
        )

    def _check(self) -> None:
        name, function = self.onnx_node.name, self.get_nodeattr("Function")
        if function == "AvgPool":
            raise HwflowError(
                f"{name}: an average over {self.positions} positions is no integer",
                hint="use TruncAvgPool2d, which rounds down, or sum and let the next quantizer"
                " divide",
            )
        if function == "MaxPool":
            return
        low, high = (bound >> self._shift for bound in self._range())
        output = self.get_output_datatype()
        if not (output.min() <= low and high <= output.max()):
            raise HwflowError(
                f"{name}: values from {low} to {high} do not fit its output type {output.name}",
                hint=f"it needs {integer_type(low, high).name}",
            )
