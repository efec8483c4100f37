"""FINN+'s RTL library, and the module around one of its cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwflow.kernels.layer import HardwareLayer

_NODE = """\
// Written by hwflow. Ports are AXI-streams: a transfer where valid and ready are high.

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

# The configuration port of a core, which accelerators do not use.
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
# The streams of a core, connected to those of the module around it.
STREAMS = """\
		.in0_V_TDATA(in0_V_TDATA), .in0_V_TVALID(in0_V_TVALID), .in0_V_TREADY(in0_V_TREADY),
		.out0_V_TDATA(out0_V_TDATA), .out0_V_TVALID(out0_V_TVALID), .out0_V_TREADY(out0_V_TREADY)"""


def rtl_library() -> Path:
    """Folder of FINN+'s RTL library in the user's installation."""
    import finn

    return Path(finn.__path__[0]) / "finn-rtllib"


def unused_axilite(*, protection: bool) -> str:
    """Pins of a core's configuration port, tied off.

    Args:
        protection: whether the port has AWPROT and ARPROT.
    """
    pins = _AXILITE + ([("AWPROT", "'0"), ("ARPROT", "'0")] if protection else [])
    return ", ".join(f".s_axilite_{name}({value})" for name, value in pins)


def core_module(layer: Any, body: str) -> str:
    """Module `<name>_node` with the ports of a layer of one input and one output.

    Args:
        layer: the layer.
        body: what is inside, the core.
    """
    return _NODE.format(
        name=layer.onnx_node.name,
        in_width=layer.get_instream_width_padded(),
        out_width=layer.get_outstream_width_padded(),
        body=body,
    )


class FinnLayer(HardwareLayer):
    """A layer that is a core of FINN+'s RTL library: derive from this, then from FINN's op."""

    @classmethod
    def origin(cls) -> str:
        """The RTL is FINN+'s."""
        return "FINN+"
