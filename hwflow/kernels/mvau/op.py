"""The matrix-vector layer in DSP blocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from finn.custom_op.fpgadataflow.rtl import matrixvectoractivation_rtl as finn
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.costs import Folding
from hwflow.costs.hardware import mvu_dsps, mvu_luts
from hwflow.kernels.finn_library import (
    STREAMS,
    FinnLayer,
    core_module,
    rtl_library,
    unused_axilite,
)
from hwflow.kernels.lut_mvau.op import LutMVAU_rtl
from hwflow.kernels.matrix_product import MatrixProduct
from hwflow.kernels.multiplying import Unit
from hwflow.kernels.mvau.memory import write_weights

# What streams the weights.
_MEMORY = ("axi/hdl/axilite.sv", "memstream/hdl/memstream_axi.sv", "memstream/hdl/memstream.sv")
# Only Versal parts have the DSP58, and none is among the supported boards.
_UNUSED = "mvu_vvu_8sx9_dsp58.sv"

_CORE = """\
	wire [{weight_width}-1:0] weights_tdata;
	wire weights_tvalid;
	wire weights_tready;

	{name}_memstream_wrapper weights (
		.ap_clk(ap_clk), .ap_clk2x(ap_clk), .ap_rst_n(ap_rst_n),
		{axilite},
		.s_axis_0_tready(), .s_axis_0_tvalid(1'b0), .s_axis_0_tdata(1'b0),
		.m_axis_0_tready(weights_tready), .m_axis_0_tvalid(weights_tvalid),
		.m_axis_0_tdata(weights_tdata)
	);

	{name} core (
		.ap_clk(ap_clk), .ap_clk2x(ap_clk), .ap_rst_n(ap_rst_n),
		.in1_V_TDATA(weights_tdata), .in1_V_TVALID(weights_tvalid),
		.in1_V_TREADY(weights_tready),
{streams}
	);"""


class MVAU_rtl(FinnLayer, MatrixProduct, finn.MVAU_rtl):
    """Product of vectors (..., MW) and a matrix (MW, MH) of integers of 2 to 8 bits in DSP blocks.

    Weights are two's complement; the output (..., MH) is the sum.
    """

    KERNEL = "mvau"
    SUMMARY = "matrix-vector product of 2 to 8 bit weights and inputs in DSP blocks"
    DESCRIBED = ("FINN_SIMULATION",)

    @classmethod
    def implements(cls, model: ModelWrapper, node: onnx.NodeProto) -> bool:
        """Where not all is binary: that is XnorMVAU's."""
        types = [model.get_tensor_datatype(name) for name in node.input[:2]]
        return any(datatype != DataType["BIPOLAR"] for datatype in types)

    def units(self, model: ModelWrapper) -> Mapping[Unit, onnx.NodeProto]:
        """These DSP blocks, or the unit of LUTs."""
        luts = self.on_luts(model, LutMVAU_rtl.__name__)
        return {"lut": luts, "dsp": self.copy(resType="dsp")}

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs as `costs.hardware` counts them, whose fit is said there."""
        return mvu_luts(*self._unit())

    def dsp_estimation(self, fpgapart: str) -> int:
        """DSP blocks as `costs.hardware` counts them."""
        return mvu_dsps(*self._unit())

    def _unit(self) -> tuple[Folding, int, int]:
        folding = Folding(self.get_nodeattr("PE"), self.get_nodeattr("SIMD"))
        weights, inputs = (self.get_input_datatype(index).bitwidth() for index in (1, 0))
        return folding, weights, inputs

    # -------------------------------------------------------------------------------- RTL

    def generate_params(self, model: ModelWrapper, path: str) -> None:
        """The memory of weights; FINN's packing takes minutes for a million of them."""
        write_weights(
            Path(path) / "memblock.dat",
            model.get_initializer(self.onnx_node.input[1]),
            self.get_nodeattr("PE"),
            self.get_nodeattr("SIMD"),
            self.get_input_datatype(1).bitwidth(),
        )

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """FINN's files of the core and of the memory."""
        files = [file for file in super().get_rtl_file_list(abspath) if _UNUSED not in file]
        memory = [rtl_library() / file for file in _MEMORY]
        return [*files, *(str(file) if abspath else file.name for file in memory)]

    def connection(self) -> str:
        """FINN's core and the memory that streams its weights."""
        body = _CORE.format(
            name=self.onnx_node.name,
            weight_width=self.get_instream_width_padded(1),
            axilite=unused_axilite(protection=True),
            streams=STREAMS,
        )
        return core_module(self, body)
