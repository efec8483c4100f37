"""What layers with an integer constant for each channel share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseBinaryOperation
from numpy.typing import NDArray
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.errors import HwflowError
from hwflow.kernels.integer_types import integer_type, number_parameters, signed_bits
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import magnitude
from hwflow.kernels.memory import Memory
from hwflow.kernels.numbers import memory_file

SOURCE = Path(__file__).with_name("channel_constants.sv")
# Words up to which channel_constants.sv makes logic of them.
_FEW = 4


class ChannelConstants(KernelOp, ElementwiseBinaryOperation):
    """A stream (..., C) and an initializer with a number for each channel, or one for all.

    The ops are FINN's elementwise ones with a constant second operand (`rhs_style` const,
    `mem_mode` internal_embedded), which is what FINN makes of an Add or Mul with an initializer:
    FINN+ has no channelwise op of its own any more. Constants lie in the layer and are no stream.

    Takes as many cycles a frame as the output has transfers.
    """

    RATE = "pixels * C / PE"

    def sizes(self) -> dict[str, int]:
        """Channels."""
        return {"pe": int(self.get_normal_output_shape()[-1])}

    def bound(self, model: ModelWrapper) -> int:
        """The greatest absolute number that comes in or out, or is a constant."""
        names = (*self.onnx_node.input, *self.onnx_node.output)
        return magnitude(*(model.get_tensor_datatype(name) for name in names))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """The sources of the constants and of the kernel, and the layer's module."""
        constants = str(SOURCE) if abspath else SOURCE.name
        return [constants, *KernelOp.get_rtl_file_list(self, abspath)]

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of the input stream; constants are inside the layer and no stream."""
        return self.get_nodeattr("PE") * self.lhs_dtype.bitwidth() if ind == 0 else 0

    def get_exp_cycles(self) -> int:
        """Cycles a frame."""
        return math.prod(self.get_folded_output_shape()[:-1])

    def minimize_weight_bit_width(self, model: ModelWrapper, datatype_only: bool = False) -> None:
        """Give the constants the narrowest type that holds them."""
        constants = self.constants(model)
        self.set_nodeattr("rhs_style", "const")
        self.set_nodeattr("rhs_dtype", integer_type(constants.min(), constants.max()).name)
        model.set_tensor_datatype(self.onnx_node.input[1], self.rhs_dtype)

    def minimize_accumulator_width(self, model: ModelWrapper, datatype_only: bool = False) -> Any:
        """Give the output the narrowest type that holds its values, by the constants there are."""
        self.set_nodeattr("out_dtype", integer_type(*self._range(model)).name)
        model.set_tensor_datatype(self.onnx_node.output[0], self.out_dtype)
        return self.out_dtype

    def constants(self, model: ModelWrapper) -> NDArray[np.int64]:
        """The constant of each channel, (C,).

        Raises:
            HwflowError: they are no initializer, no integers, or not one for each channel.
        """
        name = self.onnx_node.name
        values = model.get_initializer(self.onnx_node.input[1])
        if values is None:
            raise HwflowError(
                f"{name}: its second operand is not constant",
                hint="a constant first operand is to be swapped with it; two streams are"
                " added by ElementwiseAdd_rtl",
            )
        if not np.array_equal(values, np.rint(values)):
            raise HwflowError(f"{name}: its constants are no integers")
        channels = self.get_normal_output_shape()[-1]
        if values.size not in (1, channels) or values.size != values.shape[-1]:
            raise HwflowError(
                f"{name}: constants of shape {values.shape} are not one for each of {channels}"
                " channels"
            )
        return np.broadcast_to(values.reshape(-1).astype(np.int64), (channels,))

    def _range(self, model: ModelWrapper) -> tuple[int, int]:
        """Least and greatest output."""
        constants = self.constants(model)
        bounds = [
            self.npy_op(constants, int(bound))
            for bound in (self.lhs_dtype.min(), self.lhs_dtype.max())
        ]
        return int(np.min(bounds)), int(np.max(bounds))

    @property
    def folds(self) -> int:
        """Words of constants: transfers of a pixel, or one where all channels have the same."""
        channels = self.get_normal_output_shape()[-1]
        return 1 if self.rhs_shape[-1] == 1 else channels // self.get_nodeattr("PE")

    @property
    def memory(self) -> Memory:
        """The constants; a few words are logic."""
        words = self.folds if self.folds > _FEW else 0
        return Memory(words, self.get_nodeattr("PE") * self.constant_bits, one_address=True)

    @property
    def constant_bits(self) -> int:
        """Bits of a constant in its memory, signed."""
        return int(max(2, signed_bits(self.rhs_dtype.min(), self.rhs_dtype.max())))

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs (18 kbit) of constants."""
        return self.memory.blocks(fpgapart)

    def write_constants(self, model: ModelWrapper, fpgapart: str) -> dict[str, object]:
        """Write the memory file of the constants, of a layer for an FPGA part.

        Returns:
            The kernel's parameters that the constants and the data types decide.

        Raises:
            HwflowError: the type of the output does not hold all its values.
        """
        name, pe, folds = self.onnx_node.name, self.get_nodeattr("PE"), self.folds
        low, high = self._range(model)
        if not (self.out_dtype.min() <= low and high <= self.out_dtype.max()):
            raise HwflowError(
                f"{name}: values from {low} to {high} do not fit its output type"
                f" {self.out_dtype.name}",
                hint=f"it needs {integer_type(low, high).name}",
            )
        words = self.constants(model).reshape(-1, pe)[:folds]
        file, kind = f"{name}_constants.dat", DataType[f"INT{self.constant_bits}"]
        (self.folder / file).write_text(memory_file(words, kind))
        return {
            "FOLDS": folds,
            "PE": pe,
            **number_parameters(self.lhs_dtype, name),
            "CONST_BITS": self.constant_bits,
            "OUT_BITS": self.out_dtype.bitwidth(),
            "CONSTANTS": f'"./{file}"',
            "RAM_STYLE": f'"{self.memory.style(fpgapart)}"',
        }
