// Asserts the rule of a stream: data that are valid and not taken stay valid, and the same.
// In hardware it is nothing.
module stream_rule #(
	int unsigned  W  // width of the data
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [W-1:0]  dat,
	input	logic  vld,
	input	logic  rdy
);
	logic  WasHeld = 0;
	logic [W-1:0]  Held;
	always_ff @(posedge clk) begin
		WasHeld <= !rst && vld && !rdy;
		Held    <= dat;
		assert(rst || !WasHeld || vld) else $error("%m: output withdrawn.");
		assert(rst || !WasHeld || !vld || (dat == Held)) else $error("%m: output changed.");
	end
endmodule : stream_rule
