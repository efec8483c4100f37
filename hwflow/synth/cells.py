"""What the cells of a netlist cost, by family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

RESOURCES = ("lut", "ff", "dsp", "bram18", "uram")

# LUTs that a cell occupies; memories and shift registers made of LUTs count as the LUTs they take
# (AMD UG474, Lattice FPGA-DS-02012).
_LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "LUT6_2": 1,
    "INV": 1,
    "SRL16E": 1,
    "SRLC16E": 1,
    "SRLC32E": 1,
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM128X1S": 2,
    "RAM256X1S": 4,
    "RAM512X1S": 8,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "CCU2C": 2,
    "TRELLIS_DPR16X4": 4,
}
_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1", "TRELLIS_FF")
_DSPS = ("DSP48E1", "DSP48E2", "MULT18X18D")
_BRAM18 = {"RAMB18E1": 1, "RAMB36E1": 2, "RAMB18E2": 1, "RAMB36E2": 2, "DP16KD": 1}


def count_resources(cells: Mapping[str, int]) -> dict[str, int]:
    """Resources that a netlist takes.

    Args:
        cells: number of cells of each type.

    Returns:
        lut, ff, dsp, bram18 and uram.
    """
    total: Counter[str] = Counter(dict.fromkeys(RESOURCES, 0))
    for kind, number in cells.items():
        total["lut"] += _LUTS.get(kind, 0) * number
        total["ff"] += number * (kind in _FLIP_FLOPS)
        total["dsp"] += number * (kind in _DSPS)
        total["bram18"] += _BRAM18.get(kind, 0) * number
        total["uram"] += number * (kind == "URAM288")
    return dict(total)
