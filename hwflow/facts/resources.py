"""FPGA resources."""

from hwflow.facts import Facts


class Resources(Facts):
    """LUTs, flip-flops, DSP blocks, block RAMs of 18 kbit and UltraRAMs."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram18: int = 0
    uram: int = 0
