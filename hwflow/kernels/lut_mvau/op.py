"""The FINN custom op of the matrix-vector kernel without DSP blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.costs import products
from hwflow.costs.products import Products
from hwflow.families import family_of
from hwflow.kernels import dot_product, weight_memory
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.matrix_product import MatrixProduct
from hwflow.kernels.numbers import kind, memory_file, number, weight_words


class LutMVAU_rtl(MatrixProduct, KernelOp, MVAU):
    """Product of vectors (..., MW) and a matrix (MW, MH) of small integers, without DSP blocks.

    Weights and inputs have 1 to 8 bits: unsigned, two's complement (ternary too) or bipolar. The
    output (..., MH) is the signed sum, also of bipolar numbers.
    """

    KERNEL = "lut_mvau"
    SUMMARY = "matrix-vector product of 1 to 8 bit weights and inputs, without DSPs"
    SOURCE = Path(__file__).with_name("lut_mvau.sv")
    SHARED = (dot_product.SOURCE, weight_memory.SOURCE)

    @classmethod
    def implements(cls, model: ModelWrapper, node: onnx.NodeProto) -> bool:
        """None by itself: it is chosen in place of MVAU_rtl, by what a board has."""
        return False

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of the input stream; weights are inside the layer and no stream."""
        return MVAU.get_instream_width(self) if ind == 0 else 0

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python."""
        node = self.onnx_node
        vectors = context[node.input[0]].reshape(self.get_normal_input_shape())
        product = vectors @ context[node.input[1]]
        context[node.output[0]] = product.reshape(context[node.output[0]].shape)

    @property
    def products(self) -> Products:
        """The unit as costs see it."""
        return Products(
            terms=self.get_nodeattr("MW"),
            outputs=self.get_nodeattr("MH"),
            simd=self.get_nodeattr("SIMD"),
            pe=self.get_nodeattr("PE"),
            weights=number(self.get_input_datatype(1)),
            inputs=number(self.get_input_datatype(0)),
            sum_bits=self.get_output_datatype().bitwidth(),
            depthwise=False,
        )

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs as `costs.products` counts them, whose fit is said there."""
        return products.luts(self.products, family_of(fpgapart).fabric.memories)

    def dsp_estimation(self, fpgapart: str) -> int:
        """No DSP blocks."""
        return 0

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs (18 kbit) of weights and of inputs that are kept."""
        unit, memories = self.products, family_of(fpgapart).fabric.memories
        _, weights = products.memory(unit.words, unit.word_bits, memories)
        return weights + products.buffer_blocks(unit, memories)

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module and its weights."""
        name = self.onnx_node.name
        weights, inputs = self.get_input_datatype(1), self.get_input_datatype(0)
        matrix = model.get_initializer(self.onnx_node.input[1]).T
        words = weight_words(matrix, self.get_nodeattr("PE"), self.get_nodeattr("SIMD"))
        (self.folder / f"{name}_weights.dat").write_text(memory_file(words, weights))
        self.write_module(
            {
                "MW": self.get_nodeattr("MW"),
                "MH": self.get_nodeattr("MH"),
                "SIMD": self.get_nodeattr("SIMD"),
                "PE": self.get_nodeattr("PE"),
                "W_BITS": weights.bitwidth(),
                "X_BITS": inputs.bitwidth(),
                "W_KIND": kind(weights),
                "X_KIND": kind(inputs),
                "ACC_BITS": self.get_output_datatype().bitwidth(),
                "WEIGHTS": f'"./{name}_weights.dat"',
            }
        )
