"""The fabric of AMD's 7 series, which Zynq-7000 has too."""

from hwflow.families.fabric import Cells, Fabric, Yosys
from hwflow.families.memories import BlockRam, LutCell, LutRam, Memories

# LUTs that logic and memories occupy (AMD UG474).
LUTS = {
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
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM32M": 4,
    "RAM64M": 4,
}
FLIP_FLOPS = frozenset(
    f"{kind}{edge}" for kind in ("FDRE", "FDSE", "FDCE", "FDPE") for edge in ("", "_1")
)
# Parts of slices that hold LUTs, and constants.
FREE = frozenset({"CARRY4", "MUXF7", "MUXF8", "GND", "VCC"})

MEMORIES = Memories(
    block=BlockRam(),
    # Four LUTs are written at one address: they hold 32 words of 8 bits or 64 of 4, and reading
    # at another address takes one of them. Of one address the slice chooses between four.
    lut=LutRam(
        one_address=(LutCell(32, 8, 4), LutCell(64, 4, 4)),
        two_addresses=(LutCell(32, 6, 4), LutCell(64, 3, 4)),
        joined=4,
        weights=LutCell(64, 1, 1),
    ),
    luts_a_block=190,
    luts_a_block_of_weights=60,
)

FABRIC = Fabric(
    cells=Cells(
        lut=LUTS,
        ff=FLIP_FLOPS,
        dsp={"DSP48E1": 1},
        bram18={"RAMB18E1": 1, "RAMB36E1": 2},
        free=FREE,
    ),
    memories=MEMORIES,
    multiplier=(25, 18),
    primitives=("LUT6_2", "DSP48E1"),
    yosys=Yosys(
        label="synth_xilinx xc7",
        command="synth_xilinx -family xc7 -top {top} -flatten -noiopad -noclkbuf",
        memories=("map_memory", "map_ffram"),
        models=("xilinx/cells_sim.v",),
    ),
    opaque=frozenset({"RAMB18E1", "RAMB36E1"}),
)

# What the families of 7 series parts have in common.
BITSTREAMS = ("vivado",)
# MHz that the clock managers put out at least (MMCM_FOUTMIN in all their data sheets).
LOWEST_CLOCK = 4.69
