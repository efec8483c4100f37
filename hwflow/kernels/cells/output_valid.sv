// The valid of an output register, and when the register takes something new.
//
// - go: the register is empty or taken, so it may be overwritten, and with it all that stands
//   before it. vld says then whether what it takes is an output. It follows ordy within the cycle.
// - ovld is a register; it never waits for ordy.
module output_valid (
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic  vld,
	output	logic  go,

	output	logic  ovld,
	input	logic  ordy
);
	logic  Vld = 0;
	assign  ovld = Vld;
	assign  go = !Vld || ordy;
	always_ff @(posedge clk) begin
		if(rst)      Vld <= 0;
		else if(go)  Vld <= vld;
	end
endmodule : output_valid
