// What output_register does beside keeping the rule of streams: it loses, repeats and makes up
// nothing, and is empty after a reset.
module output_register_spec #(
	int unsigned  W
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [W-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [W-1:0]  odat,
	output	logic  out0_V_TVALID,
	input	logic  out0_V_TREADY
);
	wire  vld = out0_V_TVALID;
	wire  rdy = out0_V_TREADY;
	output_register #(.W(W)) dut (.clk, .rst, .idat, .ivld, .irdy, .odat, .ovld(out0_V_TVALID), .ordy(rdy));
	stream_rule #(.W(W)) rule0 (.clk, .rst, .dat(odat), .vld, .rdy);

	logic  WasTaken = 0;  // an input
	logic  WasEmptied = 0;
	logic [W-1:0]  Was;
	always_ff @(posedge clk) begin
		WasTaken   <= !rst && ivld && irdy;
		WasEmptied <= rst || (!(ivld && irdy) && (!vld || rdy));
		Was        <= idat;
		assert(!WasTaken || (vld && (odat == Was)));
		assert(!WasEmptied || !vld);
		assert(irdy || vld);
	end
endmodule : output_register_spec
