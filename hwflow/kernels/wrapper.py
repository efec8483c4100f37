"""The module that gives a kernel FINN's ports."""

from __future__ import annotations

from collections.abc import Mapping

_WRAPPER = """\
// Written by hwflow: {kernel} with the ports of a FINN layer.
module {name} (
	input  wire ap_clk,
	input  wire ap_rst_n,

	input  wire [{in_padded}-1:0] in0_V_TDATA,
	input  wire in0_V_TVALID,
	output wire in0_V_TREADY,

	output wire [{out_padded}-1:0] out0_V_TDATA,
	output wire out0_V_TVALID,
	input  wire out0_V_TREADY
);
	wire [{out_width}-1:0] out;
	assign out0_V_TDATA = {out_padded}'(out);

	{kernel} #(
		{parameters}
	) core (
		.clk(ap_clk), .rst(!ap_rst_n),
		.idat(in0_V_TDATA[{in_width}-1:0]), .ivld(in0_V_TVALID), .irdy(in0_V_TREADY),
		.odat(out), .ovld(out0_V_TVALID), .ordy(out0_V_TREADY)
	);
endmodule
"""


def kernel_wrapper(
    name: str,
    kernel: str,
    parameters: Mapping[str, object],
    *,
    in_width: int,
    out_width: int,
) -> str:
    """SystemVerilog module `name` around `kernel`; streams padded to whole bytes.

    Args:
        name: module name, that of the layer.
        kernel: module of the kernel, with ports clk, rst, idat, ivld, irdy, odat, ovld, ordy.
        parameters: the kernel's parameters, as SystemVerilog.
        in_width, out_width: bits of the input and output data.
    """
    return _WRAPPER.format(
        name=name,
        kernel=kernel,
        parameters=",\n\t\t".join(f".{key}({value})" for key, value in parameters.items()),
        in_width=in_width,
        out_width=out_width,
        in_padded=-(-in_width // 8) * 8,
        out_padded=-(-out_width // 8) * 8,
    )
