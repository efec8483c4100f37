"""RTL: a hardware graph becomes a self-contained folder of SystemVerilog."""

from hwflow.rtl.design import Design, Fifo, Node, Port, Stream, load_design

__all__ = ["Design", "Fifo", "Node", "Port", "Stream", "load_design"]
