"""The SystemVerilog that connects: a module around each FINN core, and the top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwflow.rtl.design import Design, Node

HEADER = "// Written by hwflow. Ports are AXI-streams: a transfer where valid and ready are high.\n"

# The wires of a stream.
PINS = ("TDATA", "TVALID", "TREADY")

_NODE = """\
{header}
module {name}_node (
	input  wire ap_clk,
	input  wire ap_rst_n,

	input  wire [{in_width}-1:0] in0_V_TDATA,
	input  wire in0_V_TVALID,
	output wire in0_V_TREADY,

	output wire [{out_width}-1:0] out0_V_TDATA,
	output wire out0_V_TVALID,
	input  wire out0_V_TREADY
);
{body}
endmodule
"""

_MVAU = """\
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
		.in0_V_TDATA(in0_V_TDATA), .in0_V_TVALID(in0_V_TVALID), .in0_V_TREADY(in0_V_TREADY),
		.out0_V_TDATA(out0_V_TDATA), .out0_V_TVALID(out0_V_TVALID), .out0_V_TREADY(out0_V_TREADY)
	);"""

_THRESHOLDING = """\
	{name} core (
		.ap_clk(ap_clk), .ap_rst_n(ap_rst_n),
		{axilite},
		.in1_V_TDATA('0), .in1_V_TVALID(1'b0), .in1_V_TREADY(),
		.in0_V_TDATA(in0_V_TDATA), .in0_V_TVALID(in0_V_TVALID), .in0_V_TREADY(in0_V_TREADY),
		.out0_V_TDATA(out0_V_TDATA), .out0_V_TVALID(out0_V_TVALID), .out0_V_TREADY(out0_V_TREADY)
	);"""

_PADDING = """\
	{name} core (
		.ap_clk(ap_clk), .ap_rst_n(ap_rst_n),
		{axilite},
		.in0_V_TDATA(in0_V_TDATA), .in0_V_TVALID(in0_V_TVALID), .in0_V_TREADY(in0_V_TREADY),
		.out0_V_TDATA(out0_V_TDATA), .out0_V_TVALID(out0_V_TVALID), .out0_V_TREADY(out0_V_TREADY)
	);"""

# The configuration port, which this accelerator does not use.
_AXILITE = (
    [(name, "'0") for name in ("AWADDR", "WDATA", "WSTRB", "ARADDR")]
    + [(name, "1'b0") for name in ("AWVALID", "WVALID", "BREADY", "ARVALID", "RREADY")]
    + [
        (name, "")
        for name in (
            *("AWREADY", "WREADY", "BVALID", "BRESP"),
            *("ARREADY", "RVALID", "RRESP", "RDATA"),
        )
    ]
)


def _axilite(protection: bool) -> str:
    pins = _AXILITE + ([("AWPROT", "'0"), ("ARPROT", "'0")] if protection else [])
    return ", ".join(f".s_axilite_{name}({value})" for name, value in pins)


def mvau_module(name: str, layer: Any) -> str:
    """A linear layer: FINN's matrix-vector core and the memory that streams its weights."""
    body = _MVAU.format(
        name=name, weight_width=layer.get_instream_width_padded(1), axilite=_axilite(True)
    )
    return _node(name, layer, body)


def thresholding_module(name: str, layer: Any) -> str:
    """An activation: FINN's thresholding core without its configuration ports."""
    return _node(name, layer, _THRESHOLDING.format(name=name, axilite=_axilite(False)))


def padding_module(name: str, layer: Any) -> str:
    """Zeros around an image: FINN's padding core without its configuration port."""
    return _node(name, layer, _PADDING.format(name=name, axilite=_axilite(False)))


# FINN's cores that need a module around them, and what writes it.
CORES: dict[str, Callable[[str, Any], str]] = {
    "MVAU_rtl": mvau_module,
    "Thresholding_rtl": thresholding_module,
    "FMPadding_rtl": padding_module,
}


def _node(name: str, layer: Any, body: str) -> str:
    return _NODE.format(
        header=HEADER,
        name=name,
        in_width=layer.get_instream_width_padded(),
        out_width=layer.get_outstream_width_padded(),
        body=body,
    )


def top_module(design: Design) -> str:
    """The accelerator: every node, and the streams between them as visible nets."""
    lines = [
        HEADER,
        "module top (",
        "	input  wire ap_clk,",
        "	input  wire ap_rst_n,",
        "",
        f"	input  wire [{design.input.padded_width}-1:0] s_axis_tdata,",
        "	input  wire s_axis_tvalid,",
        "	output wire s_axis_tready,",
        "",
        f"	output wire [{design.output.padded_width}-1:0] m_axis_tdata,",
        "	output wire m_axis_tvalid,",
        "	input  wire m_axis_tready,",
        "	output wire m_axis_tlast",
        ");",
    ]
    for stream in design.streams:
        lines.append(f"	// {stream.producer} -> {stream.consumer}")
        lines.append(f"	{_net(f'[{stream.padded_width}-1:0]', f'{stream.name}_tdata')}")
        lines += [f"	{_net('', f'{stream.name}_{wire}')}" for wire in ("tvalid", "tready")]
    first, last = design.streams[0].name, design.streams[-1].name
    lines += [
        "",
        f"	assign {first}_tdata = s_axis_tdata;",
        f"	assign {first}_tvalid = s_axis_tvalid;",
        f"	assign s_axis_tready = {first}_tready;",
        f"	assign m_axis_tdata = {last}_tdata;",
        f"	assign m_axis_tvalid = {last}_tvalid;",
        f"	assign {last}_tready = m_axis_tready;",
        "",
        *_last(design),
    ]
    for node in design.nodes:
        lines += ["", *_instance(node, design)]
    return "\n".join([*lines, "endmodule", ""])


def _net(width: str, name: str) -> str:
    return f"wire {width} {name} /*verilator public_flat_rd*/;".replace("wire  ", "wire ")


def _last(design: Design) -> list[str]:
    """tlast on the last beat of each output frame, as a DMA engine wants it."""
    beats = design.output.beats
    if beats == 1:
        return ["	assign m_axis_tlast = 1'b1;"]
    width = (beats - 1).bit_length()
    return [
        f"	reg [{width}-1:0] beat = '0;",
        f"	assign m_axis_tlast = beat == {beats - 1};",
        "	always @(posedge ap_clk)",
        "		if(!ap_rst_n)  beat <= '0;",
        "		else if(m_axis_tvalid && m_axis_tready)  beat <= m_axis_tlast? '0 : beat + 1'b1;",
    ]


def _instance(node: Node, design: Design) -> list[str]:
    ports = [(f"in{s.into}", s.name) for s in design.streams if s.consumer == node.name]
    ports += [(f"out{s.out}", s.name) for s in design.streams if s.producer == node.name]
    pins = [
        ".ap_clk(ap_clk), .ap_rst_n(ap_rst_n)",
        *(
            ", ".join(f".{port}_V_{pin}({net}_{pin.lower()})" for pin in PINS)
            for port, net in ports
        ),
    ]
    monitors = []
    if node.fifo is not None:
        for wire in ("count", "maxcount"):
            monitors.append(f"	{_net('[31:0]', f'{node.name}_{wire}')}")
        pins.append(f".count({node.name}_count), .maxcount({node.name}_maxcount)")
    return [
        *monitors,
        f"	{node.module} {node.name}_i (",
        ",\n".join(f"		{pin}" for pin in pins),
        "	);",
    ]
