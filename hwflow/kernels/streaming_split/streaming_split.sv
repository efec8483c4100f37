// Shares out the channels of a stream: of each pixel the first go to output 0, the next to output
// 1 and so on.
//
// - Of each pixel BEATS[i] transfers go to output i, in the order of the outputs.
// - Rate: one transfer a cycle while the output whose turn it is is taken: the sum of BEATS
//   cycles a pixel. Latency: 1 cycle.
// - Valid never waits for ready; output data holds while valid and not ready.
module streaming_split #(
	int unsigned  STREAMS,  // outputs
	int unsigned  BITS,     // width of the data
	logic [STREAMS-1:0][31:0]  BEATS  // transfers a pixel of each output, output 0 lowest
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [STREAMS*BITS-1:0]  odat,  // output 0 in the least significant bits
	output	logic [STREAMS-1:0]  ovld,
	input	logic [STREAMS-1:0]  ordy
);
	function automatic int unsigned longest();
		automatic int unsigned  res = 1;
		for(int unsigned  i = 0; i < STREAMS; i++)  if(BEATS[i] > res)  res = BEATS[i];
		return  res;
	endfunction : longest
	localparam int unsigned  BEAT_BITS = longest() > 1? $clog2(longest()) : 1;

	// One register for all outputs, whose data is valid for at most one of them
	logic [STREAMS-1:0]  Vld = '0;
	logic [BITS-1:0]     Data;
	assign  ovld = Vld;
	assign  odat = {STREAMS{Data}};
	wire  go = (Vld & ~ordy) == '0;
	assign  irdy = go;

	// Whose turn it is, one bit set, and the transfers to it that are left after this one
	logic [STREAMS-1:0]    Turn = STREAMS'(1);
	logic [BEAT_BITS-1:0]  Left = BEAT_BITS'(BEATS[0] - 1);
	wire [STREAMS-1:0]  turn = (Turn << 1) | (Turn >> (STREAMS-1));
	logic [BEAT_BITS-1:0]  refill;
	always_comb begin
		refill = '0;
		for(int unsigned  i = 0; i < STREAMS; i++)
			refill |= turn[i]? BEAT_BITS'(BEATS[i] - 1) : '0;
	end
	always_ff @(posedge clk) begin
		if(rst) begin
			Turn <= STREAMS'(1);
			Left <= BEAT_BITS'(BEATS[0] - 1);
		end
		else if(go && ivld) begin
			if(Left == 0)  Turn <= turn;
			Left <= Left == 0? refill : Left - 1'b1;
		end
	end

	always_ff @(posedge clk) begin
		if(rst)      Vld <= '0;
		else if(go)  Vld <= ivld? Turn : '0;
	end
	always_ff @(posedge clk)  if(go)  Data <= idat;

	// One turn at a time
	always_ff @(posedge clk)  assert(rst || $onehot(Turn)) else $error("%m: it is nobody's turn.");

endmodule : streaming_split
