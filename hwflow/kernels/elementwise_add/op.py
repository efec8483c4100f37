"""The FINN custom op of the ElementwiseAdd kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd
from finn.custom_op.fpgadataflow.rtl import register_custom_op
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.errors import HwflowError
from hwflow.kernels.kernel_op import KernelOp

BIPOLAR = DataType["BIPOLAR"]


@register_custom_op
class ElementwiseAdd_rtl(ElementwiseAdd, KernelOp):
    """Sum of two integer tensors of equal shapes (..., C), as residual connections need it.

    Both are streams, PE channels a beat; their datatypes may differ in width and sign. The sum's
    datatype is `out_dtype`, for which `minimize_accumulator_width` takes the least that holds
    every sum. A frame takes C / PE cycles for each vector.
    """

    SOURCE = Path(__file__).with_name("elementwise_add.sv")

    def get_nodeattr_types(self) -> dict[str, Any]:
        """FINN's attributes of ElementwiseAdd and of RTL layers."""
        return RTLBackend.get_nodeattr_types(self) | ElementwiseAdd.get_nodeattr_types(self)

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python."""
        ElementwiseAdd.execute_node(self, context, graph)

    def get_exp_cycles(self) -> int:
        """Cycles a frame: one for each beat."""
        return int(ElementwiseAdd.get_exp_cycles(self))

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
