// Copies a stream: every transfer that comes in goes out once on each output.
//
// - Outputs take a transfer each in its own time; the next one comes in when all have taken it.
//   So an output that stalls holds the others back after at most one transfer, and makes them
//   neither lose nor repeat any.
// - Rate: one transfer a cycle while all outputs are taken. Latency: 1 cycle.
// - Valid never waits for ready; output data holds while valid and not ready.
module duplicate_streams #(
	int unsigned  COPIES,  // outputs
	int unsigned  BITS     // width of the data
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [COPIES*BITS-1:0]  odat,  // output 0 in the least significant bits
	output	logic [COPIES-1:0]  ovld,
	input	logic [COPIES-1:0]  ordy
);
	logic [COPIES-1:0]  Vld = '0;  // outputs that have not taken the data yet
	logic [BITS-1:0]    Data;
	assign  ovld = Vld;
	assign  odat = {COPIES{Data}};
	assign  irdy = (Vld & ~ordy) == '0;
	always_ff @(posedge clk) begin
		if(rst)        Vld <= '0;
		else if(irdy)  Vld <= {COPIES{ivld}};
		else           Vld <= Vld & ~ordy;
	end
	always_ff @(posedge clk)  if(irdy)  Data <= idat;

endmodule : duplicate_streams
