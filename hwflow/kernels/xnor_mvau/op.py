"""The FINN custom op of the XNOR-popcount kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.costs.products import Number, Products, xnor_resources
from hwflow.families import family_of
from hwflow.kernels import weight_memory
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.matrix_product import MatrixProduct
from hwflow.kernels.numbers import memory_file, weight_words


class XnorMVAU_rtl(MatrixProduct, KernelOp, MVAU):
    """Product of a vector (1, MW) and a matrix (MW, MH), both of -1 and +1.

    The output (1, MH) is the signed sum, as of any other linear layer, and not FINN's popcount:
    so thresholds mean the same whatever implements the layer.
    """

    KERNEL = "xnor_mvau"
    SUMMARY = (
        "matrix-vector product of binary weights and inputs, by XNOR and popcount, without DSPs"
    )
    TAKES_BINARY = True
    SOURCE = Path(__file__).with_name("xnor_mvau.sv")
    SHARED = (weight_memory.SOURCE,)

    @classmethod
    def implements(cls, model: ModelWrapper, node: onnx.NodeProto) -> bool:
        """Where weights and inputs are binary."""
        types = [model.get_tensor_datatype(name) for name in node.input[:2]]
        return all(datatype == DataType["BIPOLAR"] for datatype in types)

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of the input stream; weights are inside the layer and no stream."""
        return MVAU.get_instream_width(self) if ind == 0 else 0

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Execute in Python."""
        node = self.onnx_node
        vectors = context[node.input[0]].reshape(self.get_normal_input_shape())
        product = vectors @ context[node.input[1]]
        context[node.output[0]] = product.reshape(context[node.output[0]].shape)

    def _resources(self, fpgapart: str) -> tuple[int, int]:
        binary = Number(1, bipolar=True)
        return xnor_resources(
            Products(
                terms=self.get_nodeattr("MW"),
                outputs=self.get_nodeattr("MH"),
                simd=self.get_nodeattr("SIMD"),
                pe=self.get_nodeattr("PE"),
                weights=binary,
                inputs=binary,
                sum_bits=self.get_output_datatype().bitwidth(),
            ),
            family_of(fpgapart).fabric.memories,
        )

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: XNOR, counting of SIMD bits and an accumulator per PE; inputs that are kept."""
        return self._resources(fpgapart)[0]

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs (18 kbit) of weights."""
        return self._resources(fpgapart)[1]

    def dsp_estimation(self, fpgapart: str) -> int:
        """No DSP blocks."""
        return 0

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module and its weights."""
        name, pe, simd = self.onnx_node.name, self.get_nodeattr("PE"), self.get_nodeattr("SIMD")
        words = weight_words(model.get_initializer(self.onnx_node.input[1]).T, pe, simd)
        text = memory_file(words, DataType["BIPOLAR"])
        (self.folder / f"{name}_weights.dat").write_text(text)
        self.write_module(
            {
                "MW": self.get_nodeattr("MW"),
                "MH": self.get_nodeattr("MH"),
                "SIMD": simd,
                "PE": pe,
                "ACC_BITS": self.get_output_datatype().bitwidth(),
                "WEIGHTS": f'"./{name}_weights.dat"',
            }
        )
