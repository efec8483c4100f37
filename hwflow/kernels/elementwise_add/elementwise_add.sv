// Adds two streams of integers, element by element.
//
// - Each transfer that goes out holds PE sums of the elements of one transfer of each input, at
//   the same place. Elements of the inputs may differ in width and sign; sums are OUT_BITS wide
//   and wrap where they don't fit.
// - Rate: one transfer a cycle while both inputs are there and the output is taken. Latency: 1
//   cycle. An input is taken together with the other one.
// - Valid never waits for ready; output data holds while valid and not ready.
// - A BIPOLAR element is one bit, 0 for -1 and 1 for +1.
module elementwise_add #(
	int unsigned  PE,           // elements a transfer
	int unsigned  LHS_BITS,     // width of an element of input 0
	bit           LHS_SIGNED,   // whether it is two's complement
	bit           LHS_BIPOLAR,
	int unsigned  RHS_BITS,     // the same of input 1
	bit           RHS_SIGNED,
	bit           RHS_BIPOLAR,
	int unsigned  OUT_BITS      // width of a sum
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [PE*(LHS_BITS+RHS_BITS)-1:0]  idat,  // input 0 in the least significant bits
	input	logic [1:0]  ivld,
	output	logic [1:0]  irdy,

	output	logic [PE*OUT_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	wire [PE*OUT_BITS-1:0]  lhs, rhs, sums;
	extended_numbers #(
		.N(PE), .IN_BITS(LHS_BITS), .SIGNED(LHS_SIGNED), .BIPOLAR(LHS_BIPOLAR), .OUT_BITS(OUT_BITS)
	) left (
		.raw(idat[0 +: PE*LHS_BITS]), .value(lhs)
	);
	extended_numbers #(
		.N(PE), .IN_BITS(RHS_BITS), .SIGNED(RHS_SIGNED), .BIPOLAR(RHS_BIPOLAR), .OUT_BITS(OUT_BITS)
	) right (
		.raw(idat[PE*LHS_BITS +: PE*RHS_BITS]), .value(rhs)
	);
	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		assign  sums[pe*OUT_BITS +: OUT_BITS] = lhs[pe*OUT_BITS +: OUT_BITS] + rhs[pe*OUT_BITS +: OUT_BITS];
	end : genPE

	wire  go;
	assign  irdy = { go && ivld[0], go && ivld[1] };
	output_register #(.W(PE*OUT_BITS)) out (
		.clk, .rst, .idat(sums), .ivld(&ivld), .irdy(go), .odat, .ovld, .ordy
	);

endmodule : elementwise_add
