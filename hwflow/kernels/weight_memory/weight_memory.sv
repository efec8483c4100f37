// Words of a $readmemh file, read behind a register: data is the word of the address a cycle ago.
//
// Synthesis decides by size: short memories are logic, longer ones LUTRAM, long ones block RAM.
module weight_memory #(
	int unsigned  DEPTH,   // words
	int unsigned  BITS,    // of a word
	parameter     FILE,
	localparam int unsigned  A_BITS = DEPTH > 1? $clog2(DEPTH) : 1
)(
	input	logic  clk,
	input	logic  en,
	input	logic [A_BITS-1:0]  addr,
	output	logic [BITS-1:0]  data
);
	logic [BITS-1:0]  Words[DEPTH];
	initial  $readmemh(FILE, Words);
	always_ff @(posedge clk)  if(en)  data <= Words[addr];

	// Open synthesis makes logic, and much of it, of a memory that can't be written. So there is a
	// write port, whose enable goes round between two registers and is never set: no tool that
	// looks at one register at a time finds that out, and one that does finds block RAM by itself.
	if(DEPTH > 32) begin : genWrite
		logic  Never = 0, Ever = 0;
		always_ff @(posedge clk) begin
			Never <= Ever;
			Ever  <= Never;
			if(Never)  Words[addr] <= '0;
		end
	end : genWrite
endmodule : weight_memory
