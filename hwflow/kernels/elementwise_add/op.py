"""The FINN custom op of the ElementwiseAdd kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.errors import HwflowError
from hwflow.kernels.arithmetic import Layer, Sum
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import Range, magnitude

BIPOLAR = DataType["BIPOLAR"]


class ElementwiseAdd_rtl(KernelOp, ElementwiseAdd):
    """Sum of two integer tensors of equal shapes (..., C), as residual connections need it.

    Both are streams, PE channels a beat; their datatypes may differ in width and sign. The sum's
    datatype is `out_dtype`, for which `minimize_accumulator_width` takes the least that holds
    every sum. A frame takes C / PE cycles for each vector.
    """

    BASE = ElementwiseAdd
    KERNEL = "elementwise_add"
    SUMMARY = "sum of two streams of integers, of any widths and signs"
    RATE = "vectors * channels / PE"
    KIND = "add"
    SOURCE = Path(__file__).with_name("elementwise_add.sv")

    @classmethod
    def implements(cls, model: ModelWrapper, node: onnx.NodeProto) -> bool:
        """Where both operands are streams."""
        return all(model.get_initializer(name) is None for name in node.input)

    def sizes(self) -> dict[str, int]:
        """Channels."""
        return {"pe": int(self.get_normal_output_shape()[-1])}

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """A sum."""
        names = (*self.onnx_node.input, *self.onnx_node.output)
        return Sum(None, magnitude(*map(model.get_tensor_datatype, names)), multiply=False)

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """Sums of the ends."""
        (low, high), (other_low, other_high) = inputs
        return low + other_low, high + other_high

    def _derive_out_dtype(self, model: ModelWrapper) -> Any:
        """FINN's rule, by width and sign; a binary number reaches +1 and counts as two bits."""
        if BIPOLAR not in (self.lhs_dtype, self.rhs_dtype):
            return ElementwiseAdd._derive_out_dtype(self, model)
        low = int(self.lhs_dtype.min() + self.rhs_dtype.min())
        high = int(self.lhs_dtype.max() + self.rhs_dtype.max())
        return DataType[f"INT{max(-low - 1, high).bit_length() + 1}"]

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: one for each bit of the wider operand, and for each PE.

        Above the end of an unsigned operand only a carry runs on, which takes about a quarter.
        Fitted to Yosys 0.70, synth_xilinx, 1 to 20 bits, PE 1 to 16: within 4 LUTs.
        """
        operands = [
            (max(t.bitwidth(), 1 + t.signed()), t) for t in (self.lhs_dtype, self.rhs_dtype)
        ]
        (narrow, narrower), (wide, _) = sorted(operands, key=lambda operand: operand[0])
        bits = wide if narrower.signed() else narrow + (wide - narrow) / 4
        return int(self.pe * bits) + 4

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module.

        Raises:
            HwflowError: the shapes differ, or an operand is a constant or no integer.
        """
        name = self.onnx_node.name
        if list(self.lhs_shape) != list(self.rhs_shape):
            raise HwflowError(
                f"{name}: adds tensors of shapes {list(self.lhs_shape)} and {list(self.rhs_shape)}",
                hint="streams are added only where their shapes are equal",
            )
        if "const" in (self.lhs_style, self.rhs_style):
            raise HwflowError(
                f"{name}: adds a constant", hint="ChannelwiseAdd_rtl adds constants of channels"
            )
        parameters: dict[str, object] = {"PE": self.pe}
        for side, datatype in (("LHS", self.lhs_dtype), ("RHS", self.rhs_dtype)):
            if not datatype.is_integer():
                raise HwflowError(f"{name}: adds numbers of type {datatype.name}, no integers")
            parameters[f"{side}_BITS"] = datatype.bitwidth()
            parameters[f"{side}_SIGNED"] = int(datatype.signed())
            parameters[f"{side}_BIPOLAR"] = int(datatype == BIPOLAR)
        parameters["OUT_BITS"] = self.out_dtype.bitwidth()
        self.write_module(parameters)
