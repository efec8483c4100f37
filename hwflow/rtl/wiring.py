"""The SystemVerilog that connects the layers: the top."""

from __future__ import annotations

from hwflow.rtl.design import Design, Node

HEADER = "// Written by hwflow. Ports are AXI-streams: a transfer where valid and ready are high.\n"

# The wires of a stream.
PINS = ("TDATA", "TVALID", "TREADY")


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
