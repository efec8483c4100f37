"""AMD Spartan-7."""

from hwflow.families import xilinx7
from hwflow.families.family import Clock, Family

FAMILY = Family(
    name="spartan-7",
    title="AMD Spartan-7",
    parts=("xc7s", "xa7s"),
    clock=Clock(xilinx7.LOWEST_CLOCK, 628, "AMD DS189, F_MAX_BUFG"),
    fabric=xilinx7.FABRIC,
    bitstreams=xilinx7.BITSTREAMS,
)
