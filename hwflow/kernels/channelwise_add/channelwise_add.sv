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

	// Everything stands still while the output is held
	wire  go;
	assign  irdy = go;

	//- Stage #1: operands ---------------------------------------------------
	logic  Vld1 = 0;
	always_ff @(posedge clk) begin
		if(rst)      Vld1 <= 0;
		else if(go)  Vld1 <= ivld;
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
	wire [PE*OUT_BITS-1:0]  values, sums;
	extended_numbers #(
		.N(PE), .IN_BITS(IN_BITS), .SIGNED(SIGNED), .BIPOLAR(BIPOLAR), .OUT_BITS(OUT_BITS)
	) extension (
		.raw(X1), .value(values)
	);
	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire signed [CONST_BITS-1:0]  constant = c1[pe*CONST_BITS +: CONST_BITS];
		assign  sums[pe*OUT_BITS +: OUT_BITS] = values[pe*OUT_BITS +: OUT_BITS] + OUT_BITS'(constant);
	end : genPE
	output_register #(.W(PE*OUT_BITS)) out (
		.clk, .rst, .idat(sums), .ivld(Vld1), .irdy(go), .odat, .ovld, .ordy
	);

endmodule : channelwise_add
