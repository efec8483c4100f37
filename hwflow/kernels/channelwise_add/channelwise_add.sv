// Adds a constant of its own to each channel.
//
// - Pixels of FOLDS transfers, PE numbers each, element 0 in the least significant bits; as many
//   go out as come in. A sum is OUT_BITS wide and must fit.
// - Rate: one transfer a cycle. Latency: 2 cycles.
// - Valid never waits for ready; output data holds while valid and not ready.
// - CONSTANTS is a $readmemh file of FOLDS words; bits [p*CONST_BITS +: CONST_BITS] of word f are
//   the constant of channel f*PE + p, two's complement. FOLDS may be 1 for any number of
//   transfers: then they all share the word.
module channelwise_add #(
	int unsigned  FOLDS,       // transfers of a pixel
	int unsigned  PE,          // channels a transfer
	int unsigned  IN_BITS,     // width of a number that comes in
	bit           SIGNED,      // whether numbers are two's complement
	bit           BIPOLAR,     // whether numbers are one bit, 0 for -1 and 1 for +1
	int unsigned  CONST_BITS,  // width of a constant
	int unsigned  OUT_BITS,    // width of a sum
	parameter     CONSTANTS,   // file of constants
	parameter     RAM_STYLE = "auto"
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [PE*IN_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [PE*OUT_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);

	// Output register; everything stands still while it is held
	logic  Vld = 0;
	logic [PE*OUT_BITS-1:0]  Out;
	assign  ovld = Vld;
	assign  odat = Out;
	wire  go = !Vld || ordy;
	assign  irdy = go;

	//- Stage #1: operands ---------------------------------------------------
	logic  Vld1 = 0;
	always_ff @(posedge clk) begin
		if(rst) begin
			Vld1 <= 0;
			Vld  <= 0;
		end
		else if(go) begin
			Vld1 <= ivld;
			Vld  <= Vld1;
		end
	end
	logic [PE*IN_BITS-1:0]  X1;
	always_ff @(posedge clk)  if(go)  X1 <= idat;

	wire [PE*CONST_BITS-1:0]  c1;
	channel_constants #(
		.FOLDS(FOLDS), .BITS(PE*CONST_BITS), .CONSTANTS(CONSTANTS), .RAM_STYLE(RAM_STYLE)
	) constants (
		.clk, .rst, .go, .vld(ivld), .dat(c1)
	);

	//- Stage #2: sums ---------------------------------------------------------
	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire [IN_BITS-1:0]  raw = X1[pe*IN_BITS +: IN_BITS];
		wire signed [CONST_BITS-1:0]  constant = c1[pe*CONST_BITS +: CONST_BITS];
		logic [OUT_BITS-1:0]  value;
		if(BIPOLAR) begin : genBipolar
			assign  value = OUT_BITS'(signed'({ ~raw[0], 1'b1 }));
		end : genBipolar
		else begin : genInteger
			assign  value = SIGNED? OUT_BITS'(signed'(raw)) : OUT_BITS'(raw);
		end : genInteger
		always_ff @(posedge clk) begin
			if(go)  Out[pe*OUT_BITS +: OUT_BITS] <= value + OUT_BITS'(constant);
		end
	end : genPE

	// Parameters that fit together
	initial  assert(!BIPOLAR || (IN_BITS == 1)) else $error("%m: bipolar numbers of %0d bits.", IN_BITS);

endmodule : channelwise_add
