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
	typedef logic [OUT_BITS-1:0]  sum_t;

	logic  Vld = 0;
	logic [PE*OUT_BITS-1:0]  Out;
	assign  ovld = Vld;
	assign  odat = Out;
	wire  go = !Vld || ordy;
	assign  irdy = { go && ivld[0], go && ivld[1] };
	always_ff @(posedge clk) begin
		if(rst)      Vld <= 0;
		else if(go)  Vld <= &ivld;
	end

	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire [LHS_BITS-1:0]  lhs = idat[pe*LHS_BITS +: LHS_BITS];
		wire [RHS_BITS-1:0]  rhs = idat[PE*LHS_BITS + pe*RHS_BITS +: RHS_BITS];
		sum_t  left, right;
		always_comb begin
			left  = LHS_SIGNED? sum_t'(signed'(lhs)) : sum_t'(lhs);
			right = RHS_SIGNED? sum_t'(signed'(rhs)) : sum_t'(rhs);
			if(LHS_BIPOLAR)  left  = lhs[0]? sum_t'(1) : '1;
			if(RHS_BIPOLAR)  right = rhs[0]? sum_t'(1) : '1;
		end
		always_ff @(posedge clk)  if(go)  Out[pe*OUT_BITS +: OUT_BITS] <= left + right;
	end : genPE

endmodule : elementwise_add
