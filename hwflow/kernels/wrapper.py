"""The module that gives a kernel FINN's ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_WRAPPER = """\
// Written by hwflow: {kernel} with the ports of a FINN layer.
module {name} (
	input  wire ap_clk,
	input  wire ap_rst_n,

{ports}
);
{body}

	{kernel} #(
		{parameters}
	) core (
		.clk(ap_clk), .rst(!ap_rst_n),
		.idat({idat}), .ivld({ivld}), .irdy({irdy}),
		.odat(out), .ovld({ovld}), .ordy({ordy})
	);

{rules}
endmodule
"""

_RULE = """\
	stream_rule #(.W({width})) rule{index} (
		.clk(ap_clk), .rst(!ap_rst_n), .dat(out[{base} +: {width}]),
		.vld(out{index}_V_TVALID), .rdy(out{index}_V_TREADY)
	);"""

_INPUT = """\
	input  wire [{padded}-1:0] in{index}_V_TDATA,
	input  wire in{index}_V_TVALID,
	output wire in{index}_V_TREADY"""

_OUTPUT = """\
	output wire [{padded}-1:0] out{index}_V_TDATA,
	output wire out{index}_V_TVALID,
	input  wire out{index}_V_TREADY"""


def kernel_wrapper(
    name: str,
    kernel: str,
    parameters: Mapping[str, object],
    *,
    in_widths: Sequence[int],
    out_widths: Sequence[int],
) -> str:
    """SystemVerilog module `name` around `kernel`; streams padded to whole bytes, and the outputs
    held to the rule of streams.

    A kernel has the ports clk, rst, idat, ivld, irdy, odat, ovld, ordy. Where it has several
    inputs, they lie side by side: idat holds the data of input 0 in its least significant bits,
    those of input 1 above them and so on, and ivld and irdy have a bit for each, bit 0 for input
    0. It is the same with outputs.

    Args:
        name: module name, that of the layer.
        kernel: module of the kernel.
        parameters: the kernel's parameters, as SystemVerilog.
        in_widths, out_widths: bits of the data of each input and output.
    """
    ports = [_INPUT.format(padded=_padded(w), index=i) for i, w in enumerate(in_widths)]
    ports += [_OUTPUT.format(padded=_padded(w), index=i) for i, w in enumerate(out_widths)]
    body, rules, base = [f"	wire [{sum(out_widths)}-1:0] out;"], [], 0
    for index, width in enumerate(out_widths):
        body.append(f"	assign out{index}_V_TDATA = {_padded(width)}'(out[{base} +: {width}]);")
        rules.append(_RULE.format(index=index, base=base, width=width))
        base += width
    data = [f"in{index}_V_TDATA[{width}-1:0]" for index, width in enumerate(in_widths)]
    inputs, outputs = len(in_widths), len(out_widths)
    return _WRAPPER.format(
        name=name,
        kernel=kernel,
        ports=",\n\n".join(ports),
        body="\n".join(body),
        rules="\n".join(rules),
        parameters=",\n\t\t".join(f".{key}({value})" for key, value in parameters.items()),
        idat=_side_by_side(data),
        ivld=_side_by_side([f"in{index}_V_TVALID" for index in range(inputs)]),
        irdy=_side_by_side([f"in{index}_V_TREADY" for index in range(inputs)]),
        ovld=_side_by_side([f"out{index}_V_TVALID" for index in range(outputs)]),
        ordy=_side_by_side([f"out{index}_V_TREADY" for index in range(outputs)]),
    )


def _padded(width: int) -> int:
    return -(-width // 8) * 8


def _side_by_side(signals: Sequence[str]) -> str:
    """The concatenation of signals, the first in the least significant bits."""
    return signals[0] if len(signals) == 1 else f"{{{', '.join(reversed(signals))}}}"


def packed(values: Sequence[int], bits: int) -> str:
    """SystemVerilog literal of numbers side by side, the first in the least significant bits."""
    literals = [f"{bits}'d{value}" for value in reversed(values)]
    return f"{{{', '.join(literals)}}}"
