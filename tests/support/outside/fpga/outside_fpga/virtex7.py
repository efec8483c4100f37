"""AMD Virtex-7, which has the fabric of the 7 series."""

from hwflow.families import Clock, Family
from hwflow.families.xilinx7 import FABRIC, LOWEST_CLOCK

FAMILY = Family(
    name="virtex-7",
    title="AMD Virtex-7",
    parts=("xc7vx", "xc7v"),
    clock=Clock(LOWEST_CLOCK, 741, "AMD DS183, F_MAX_BUFG"),
    fabric=FABRIC,
    bitstreams=("vivado",),
)
