"""AMD Zynq-7000: a processor beside the fabric of Artix-7 or Kintex-7."""

from hwflow.families import xilinx7
from hwflow.families.family import Clock, Family

FAMILY = Family(
    name="zynq-7000",
    title="AMD Zynq-7000",
    parts=("xc7z", "xa7z", "xq7z"),
    # The highest clock was not read in the sheet itself: check it before you rely on it.
    clock=Clock(xilinx7.LOWEST_CLOCK, 741, "AMD DS187 and DS191, F_MAX_BUFG"),
    fabric=xilinx7.FABRIC,
    bitstreams=xilinx7.BITSTREAMS,
)
