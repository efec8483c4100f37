"""AMD Zynq UltraScale+, and the fabric of UltraScale+."""

from hwflow.families import xilinx7
from hwflow.families.fabric import Cells, Fabric, LibraryPatch, Yosys
from hwflow.families.family import Clock, Family
from hwflow.families.memories import BlockRam, LutCell, LutRam, Memories

# Beside those of the 7 series (AMD UG574).
LUTS = xilinx7.LUTS | {
    "RAM512X1S": 8,
    "RAM256X1D": 8,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "RAM64X8SW": 8,
    "RAM32X16DR8": 8,
}

MEMORIES = Memories(
    block=BlockRam(),
    # Eight LUTs are written at one address: they hold 32 words of 16 bits or 64 of 8, and reading
    # at another address takes one of them. Yosys places long memories of one address LUT by LUT.
    lut=LutRam(
        one_address=(LutCell(32, 16, 8), LutCell(64, 1, 1)),
        two_addresses=(LutCell(32, 14, 8), LutCell(64, 7, 8)),
        joined=4,
        weights=LutCell(64, 1, 1),
    ),
    luts_a_block=370,
    luts_a_block_of_weights=60,
)

FABRIC = Fabric(
    cells=Cells(
        lut=LUTS,
        ff=xilinx7.FLIP_FLOPS,
        dsp={"DSP48E2": 1},
        bram18={"RAMB18E2": 1, "RAMB36E2": 2},
        uram={"URAM288": 1},
        free=xilinx7.FREE | {"CARRY8", "MUXF9"},
    ),
    memories=MEMORIES,
    multiplier=(27, 18),
    primitives=("LUT6_2", "DSP48E2"),
    yosys=Yosys(
        label="synth_xilinx xcup",
        command="synth_xilinx -family xcup -top {top} -flatten -noiopad -noclkbuf",
        memories=("map_memory", "map_ffram"),
        models=("xilinx/cells_sim.v",),
        patches=(
            LibraryPatch(
                "xilinx/lutrams_xcu.txt",
                "it offers a LUT RAM of 65536 words for the cost of one of 512, the deepest that"
                " there is a cell for: any memory read where it is written that is deeper than"
                " 256 words and narrow is mapped to it, and no cell is found",
                '	option "ABITS" 16 {\n		abits 16;\n',
                '	option "ABITS" 9 {\n		abits 9;\n',
            ),
        ),
    ),
    opaque=frozenset({"RAMB18E2", "RAMB36E2", "URAM288", "DSP48E2"}),
)

FAMILY = Family(
    name="zynq-ultrascale+",
    title="AMD Zynq UltraScale+",
    parts=("xczu", "xazu", "xqzu", "xck24", "xck26"),
    clock=Clock(6.25, 891, "AMD DS925, F_MAX of BUFG"),
    fabric=FABRIC,
    bitstreams=("vivado",),
)
