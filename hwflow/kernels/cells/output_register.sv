// An output register: what goes in comes out a cycle later, and stays until it is taken.
//
// - irdy never waits for ivld, nor ovld for ordy; irdy follows ordy within the cycle. Kernels take
//   irdy as the enable of all that stands before the register.
module output_register #(
	int unsigned  W  // width of the data
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [W-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [W-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	output_valid valid (.clk, .rst, .vld(ivld), .go(irdy), .ovld, .ordy);
	logic [W-1:0]  Dat;
	assign  odat = Dat;
	always_ff @(posedge clk)  if(irdy)  Dat <= idat;
endmodule : output_register
