"""Hardware layers: one folder each, with its RTL, the op that parametrises it, what it costs and
what it computes.

`layer.HardwareLayer` says what a hardware layer has to say of itself. Those of FINN+'s RTL library
are wrapped by the same interface; the others are SystemVerilog of hwflow's own, for what FINN+ has
no RTL of on 7-series parts.
"""

# FINN's domains of layers, without and with an implementation.
DOMAIN = "finn.custom_op.fpgadataflow"
RTL = f"{DOMAIN}.rtl"
