"""AMD Artix-7."""

from hwflow.families import xilinx7
from hwflow.families.family import Clock, Family

FAMILY = Family(
    name="artix-7",
    title="AMD Artix-7",
    parts=("xc7a", "xa7a", "xq7a"),
    # The highest clock was not read in the sheet itself: check it before you rely on it.
    clock=Clock(xilinx7.LOWEST_CLOCK, 628, "AMD DS181, F_MAX_BUFG"),
    fabric=xilinx7.FABRIC,
    bitstreams=xilinx7.BITSTREAMS,
)
