// Joins the channels of several streams: for each pixel those of input 0, then those of input 1
// and so on.
//
// - For each pixel BEATS[i] transfers of SIMD elements are taken from input i, in the order of
//   the inputs, and go out with elements widened to OUT_BITS.
// - Rate: one transfer a cycle while the input whose turn it is is there and the output is taken:
//   the sum of BEATS cycles a pixel. Latency: 1 cycle.
// - Valid never waits for ready; output data holds while valid and not ready.
// - Elements of input i are IN_BITS[i] wide, two's complement where SIGNED[i]; where BIPOLAR[i]
//   they are one bit, 0 for -1 and 1 for +1.
module streaming_concat #(
	int unsigned  STREAMS,    // inputs
	int unsigned  SIMD,       // elements a transfer
	int unsigned  OUT_BITS,   // width of an element that goes out
	int unsigned  ALL_BITS,   // width of an element of each input, added up
	logic [STREAMS-1:0][31:0]  BEATS,    // transfers a pixel of each input, input 0 lowest
	logic [STREAMS-1:0][31:0]  IN_BITS,
	logic [STREAMS-1:0]        SIGNED,
	logic [STREAMS-1:0]        BIPOLAR
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [SIMD*ALL_BITS-1:0]  idat,  // input 0 in the least significant bits
	input	logic [STREAMS-1:0]  ivld,
	output	logic [STREAMS-1:0]  irdy,

	output	logic [SIMD*OUT_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	// Transfers of the longest input, and where an input begins in idat, in elements' bits
	function automatic int unsigned longest();
		automatic int unsigned  res = 1;
		for(int unsigned  i = 0; i < STREAMS; i++)  if(BEATS[i] > res)  res = BEATS[i];
		return  res;
	endfunction : longest
	function automatic int unsigned bits_before(input int unsigned  stream);
		automatic int unsigned  res = 0;
		for(int unsigned  i = 0; i < stream; i++)  res += IN_BITS[i];
		return  res;
	endfunction : bits_before
	localparam int unsigned  BEAT_BITS = longest() > 1? $clog2(longest()) : 1;
	localparam int unsigned  TURN_BITS = STREAMS > 1? $clog2(STREAMS) : 1;

	// Everything stands still while the output is held
	wire  go;

	// Whose turn it is, and the transfers of it that there were
	logic [TURN_BITS-1:0]  Turn = '0;
	logic [BEAT_BITS-1:0]  Beat = '0;
	wire  valid = ivld[Turn];
	logic  last;  // of this input
	always_comb begin
		last = 0;
		irdy = '0;
		for(int unsigned  i = 0; i < STREAMS; i++) begin
			if(Turn == TURN_BITS'(i)) begin
				last = Beat == BEAT_BITS'(BEATS[i] - 1);
				irdy[i] = go;
			end
		end
	end
	always_ff @(posedge clk) begin
		if(rst) begin
			Turn <= '0;
			Beat <= '0;
		end
		else if(go && valid) begin
			if(last)  Turn <= Turn == TURN_BITS'(STREAMS - 1)? '0 : Turn + 1'b1;
			Beat <= last? '0 : Beat + 1'b1;
		end
	end

	// Elements of each input, widened
	wire [STREAMS-1:0][SIMD*OUT_BITS-1:0]  wide;
	for(genvar  i = 0; i < STREAMS; i++) begin : genStream
		extended_numbers #(
			.N(SIMD), .IN_BITS(IN_BITS[i]), .SIGNED(SIGNED[i]), .BIPOLAR(BIPOLAR[i]), .OUT_BITS(OUT_BITS)
		) extension (
			.raw(idat[SIMD*bits_before(i) +: SIMD*IN_BITS[i]]), .value(wide[i])
		);
	end : genStream

	output_register #(.W(SIMD*OUT_BITS)) out (
		.clk, .rst, .idat(wide[Turn]), .ivld(valid), .irdy(go), .odat, .ovld, .ordy
	);

	// A turn that somebody has
	always_ff @(posedge clk)  assert(rst || (32'(Turn) < STREAMS)) else $error("%m: it is nobody's turn.");

endmodule : streaming_concat
