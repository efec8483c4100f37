"""Lattice ECP5."""

from hwflow.families.fabric import Cells, Fabric, Yosys
from hwflow.families.family import Clock, Family
from hwflow.families.memories import BlockRam, LutCell, LutRam, Memories

# 16 words of 4 bits take two slices of two LUT4, and a third for writing (nextpnr's packer).
_CELL = LutCell(16, 4, 6)

FABRIC = Fabric(
    cells=Cells(
        lut={
            **{f"LUT{inputs}": 1 for inputs in range(1, 5)},
            "INV": 1,
            "CCU2C": 2,
            "TRELLIS_DPR16X4": _CELL.luts,
        },
        ff=frozenset({"TRELLIS_FF"}),
        dsp={"MULT18X18D": 1},
        bram18={"DP16KD": 1, "PDPW16KD": 1},
        free=frozenset({"PFUMX", "L6MUX21", "VLO", "VHI"}),
    ),
    memories=Memories(
        block=BlockRam(),
        # Two LUT4 choose between four cells, and slices join them: as Yosys 0.70 maps it.
        lut=LutRam(one_address=(_CELL,), two_addresses=(_CELL,), joined=0.75, weights=_CELL),
        luts_a_block=400,
        # Yosys gives a block the cost of 32 cells.
        luts_a_block_of_weights=32 * _CELL.luts,
    ),
    multiplier=(18, 18),
    primitives=(),
    yosys=Yosys(
        label="synth_ecp5",
        command="synth_ecp5 -top {top} -noabc9",
        memories=("map_ram", "map_ffram"),
    ),
    opaque=frozenset({"MULT18X18D", "DP16KD", "PDPW16KD"}),
)

FAMILY = Family(
    name="ecp5",
    title="Lattice ECP5",
    parts=("lfe5u",),
    # The highest clock was not read in the sheet itself: check it before you rely on it.
    clock=Clock(3.125, 370, "Lattice FPGA-DS-02012, f_MAX_PRI and the PLL's f_OUT"),
    fabric=FABRIC,
    bitstreams=("nextpnr-ecp5",),
)
