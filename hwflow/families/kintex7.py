"""AMD Kintex-7."""

from hwflow.families import xilinx7
from hwflow.families.family import Clock, Family

FAMILY = Family(
    name="kintex-7",
    title="AMD Kintex-7",
    parts=("xc7k", "xa7k", "xq7k"),
    # The highest clock was not read in the sheet itself: check it before you rely on it.
    clock=Clock(xilinx7.LOWEST_CLOCK, 741, "AMD DS182, F_MAX_BUFG"),
    fabric=xilinx7.FABRIC,
    bitstreams=xilinx7.BITSTREAMS,
)
