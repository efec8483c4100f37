// Signs of PE integers a transfer, -1, 0 or 1 in two bits; one transfer a cycle, a cycle later.
module signum #(
	int unsigned  PE,
	int unsigned  IN_BITS,
	bit           SIGNED,   // whether an integer is two's complement
	bit           BIPOLAR   // or a bit, 0 for -1 and 1 for +1
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [PE*IN_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [PE*2-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	logic  Vld = 0;
	logic [PE*2-1:0]  Out;
	assign  odat = Out;
	assign  ovld = Vld;
	assign  irdy = !Vld || ordy;
	always_ff @(posedge clk) begin
		if(rst)        Vld <= 0;
		else if(irdy)  Vld <= ivld;
	end
	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire [IN_BITS-1:0]  number = idat[pe*IN_BITS +: IN_BITS];
		wire  negative = BIPOLAR? !number[0] : SIGNED && number[IN_BITS-1];
		wire  zero = !BIPOLAR && number == '0;
		always_ff @(posedge clk)  if(irdy)  Out[pe*2 +: 2] <= { negative, !zero };
	end : genPE
endmodule : signum
