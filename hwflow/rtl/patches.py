"""Patches for copies of FINN+'s RTL files; the installed files are left alone.

Each patch states the text that it replaces and how often that occurs, and fails when the file
does not match: a new release can't be patched wrongly in silence.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwflow.errors import HwflowError


@dataclass(frozen=True)
class Patch:
    """Replacement of `old` by `new` in the file called `file`, exactly `times` times."""

    file: str
    reason: str
    old: str
    new: str
    times: int = 1

    def apply(self, text: str) -> str:
        """The patched text.

        Raises:
            HwflowError: the file is not the one that the patch was written for.
        """
        occurrences = text.count(self.old)
        if occurrences != self.times:
            raise HwflowError(
                f"FINN+'s {self.file} is not the file that hwflow patches: the place to mend"
                f" ({self.reason}) occurs {occurrences} times, not {self.times}",
                hint="install the release of finn-plus that hwflow's pyproject.toml pins",
            )
        return text.replace(self.old, self.new)


_LEAF_LOADS = """\
		// Compute the count of decendents for all nodes in the reduction trees.
		typedef int unsigned  leaf_load_t[2*N-1];
		function leaf_load_t init_leaf_loads();
			automatic leaf_load_t  res;
			for(int unsigned  i = 2*N-1; i-- > N-1;)  res[i] = 1;
			for(int unsigned  i =   N-1; i-- >   0;)  res[i] = res[2*i+1] + res[2*i+2];
			return  res;
		endfunction : init_leaf_loads
		localparam leaf_load_t   LEAF_LOAD = init_leaf_loads();

"""
_LEAF_LOAD_FUNCTION = """\
	// Leaves below node i of the reduction tree, level by level.
	function automatic int unsigned leaf_load(input int unsigned  i);
		automatic int unsigned  lo  = i;
		automatic int unsigned  hi  = i;
		automatic int unsigned  res = 0;
		for(int unsigned  level = 0; level < 32; level++) begin
			if(lo < 2*N-1) begin
				automatic int unsigned  first = lo < N-1?   N-1   : lo;
				automatic int unsigned  last  = hi > 2*N-2? 2*N-2 : hi;
				if(first <= last)  res += last - first + 1;
				lo = 2*lo + 1;
				hi = 2*hi + 2;
			end
		end
		return  res;
	endfunction : leaf_load

	uwire [SUM_WIDTH-1:0]  sum0;
"""

_ABITS = """\
	typedef struct {
		int unsigned  lo;
		int unsigned  hi;
	} abits_t;
	function abits_t INIT_ABITS();
		automatic abits_t  abits = '{ lo: $clog2(DEPTH_REQ), hi: 0 };
		if(abits.lo > MIN_ABITS) begin
			// Consider Decomposition into lo + hi
			automatic int unsigned  hi_abits = $clog2(DEPTH_REQ - 2**(abits.lo-1));
			if(hi_abits < abits.lo - 1) begin
				abits.lo--;
				abits.hi = hi_abits < 1? 1 : hi_abits;
			end
		end
		return  abits;
	endfunction : INIT_ABITS
	localparam abits_t       ABITS      = INIT_ABITS();
"""
_ABITS_SCALARS = """\
	localparam int unsigned  ABITS_ALL  = $clog2(DEPTH_REQ);
	localparam int unsigned  ABITS_REST =
		ABITS_ALL > MIN_ABITS? $clog2(DEPTH_REQ - 2**(ABITS_ALL-1)) : ABITS_ALL;
	localparam bit           ABITS_TWO  = ABITS_REST + 1 < ABITS_ALL;
	localparam int unsigned  ABITS_LO   = ABITS_TWO? ABITS_ALL - 1 : ABITS_ALL;
	localparam int unsigned  ABITS_HI   = !ABITS_TWO? 0 : ABITS_REST < 1? 1 : ABITS_REST;
"""

_LINE = """\
logic [WIDTH-1:0] Out_reg;
assign shift_out = Out_reg;

logic [$clog2(DEPTH)-1:0] Addr_w = 0;
"""
_SHORT_LINES = """\
if (DEPTH == 0) begin : genNone
    assign shift_out = shift_in;
end
else if (DEPTH == 1) begin : genRegister
    logic [WIDTH-1:0] Out_reg;
    assign shift_out = Out_reg;
    always_ff @(posedge clk)
        if (shift_enable) Out_reg <= shift_in;
end
else begin : genRam
"""

PATCHES = (
    Patch(
        "mvu_vvu_axi.sv",
        "the output queue is shallower than the pipeline that it must take in when output stalls",
        "3 + $clog2(SIMD+1) + (SIMD == 1);",
        "5 + $clog2(SIMD) + (SIMD == 1);",
    ),
    Patch(
        "mvu.sv",
        "synthesis and cycle simulation know no delays",
        "			#100ns;\n			Dirty <= 0;\n",
        "			Dirty = 0;\n",
    ),
    Patch(
        "add_multi.sv",
        "no open tool takes a constant function inside a generate block",
        _LEAF_LOADS,
        "",
    ),
    Patch("add_multi.sv", "as above", "	uwire [SUM_WIDTH-1:0]  sum0;\n", _LEAF_LOAD_FUNCTION),
    Patch("add_multi.sv", "as above", "LEAF_LOAD[i]", "leaf_load(i)"),
    Patch("add_multi.sv", "as above", "LEAF_LOAD[LIDX]", "leaf_load(LIDX)"),
    Patch("add_multi.sv", "as above", "LEAF_LOAD[RIDX]", "leaf_load(RIDX)"),
    Patch(
        "fifo.sv",
        "Verilator takes no constant function that returns a struct",
        _ABITS,
        _ABITS_SCALARS,
    ),
    Patch(
        "thresholding.sv",
        "the first stage selects bits from high to low, which no open tool takes even where dead",
        "p.ptr[M-1:SN+1] < 2**stage",
        "(p.ptr[M-1:0] >> (SN+1)) < 2**stage",
    ),
    Patch(
        "swg_common.sv",
        "tools take a case without a default for a latch",
        "            STATE_LOOP_H    : addr_incr = HEAD_INCR_H;\n",
        "            STATE_LOOP_H    : addr_incr = HEAD_INCR_H;\n"
        "            default         : addr_incr = 0;\n",
    ),
    Patch(
        "swg_common.sv",
        "a part of a lone register is selected from high to low, which no open tool takes",
        "if (DEPTH > 1) Data[DEPTH-1:1] <= Data[DEPTH-2:0];",
        "for (int unsigned i = 1; i < DEPTH; i++) Data[i] <= Data[i-1];",
    ),
    Patch(
        "swg_common.sv",
        "where an image is hardly wider than its windows, a line is too short for a memory",
        _LINE,
        _SHORT_LINES + _LINE,
    ),
    Patch(
        "swg_common.sv",
        "as above",
        "endmodule : swg_ram_buffer",
        "end : genRam\nendmodule : swg_ram_buffer",
    ),
    Patch(
        "fifo_gauge.sv",
        "the depth to simulate is set when the program runs; all ones is without bound",
        "	int unsigned  MaxCount = 0;\n",
        "	int unsigned  MaxCount = 0;\n"
        "	int unsigned  Depth /*verilator public_flat_rw*/ = '1;\n",
    ),
    Patch("fifo_gauge.sv", "as above", "irdy = 1;", "irdy = Count < Depth;"),
    Patch("fifo_gauge.sv", "as above", "if(ivld) begin", "if(ivld && irdy) begin"),
    *(
        Patch(file, "directives belong outside modules", directive, "")
        for file in ("fifo.sv", "vpc.sv")
        for directive in ("`default_nettype none\n", "`default_nettype wire\n")
    ),
)


def patched(file: str, text: str) -> str:
    """The text of an RTL library file with all patches for it applied."""
    for patch in PATCHES:
        if patch.file == file:
            text = patch.apply(text)
    if file == "fifo.sv":
        text = text.replace("ABITS.lo", "ABITS_LO").replace("ABITS.hi", "ABITS_HI")
    return text
