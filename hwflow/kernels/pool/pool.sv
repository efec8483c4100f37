// Pooling: for every BEATS transfers of PE channels, their maximum or their sum goes out, once.
//
// - The input is what a sliding window gives when it goes channel by channel: for each output
//   pixel, fold of channels by fold of channels, the BEATS positions of the window. Element 0 of
//   a transfer lies in its least significant bits.
// - SUM = 0: the greatest of each channel's numbers, as wide as they are. SUM = 1: their sum,
//   SHIFT bits of it cut off, which rounds down: the floor of the average where BEATS is
//   2**SHIFT, FINN's quantized average otherwise, and the plain sum for SHIFT = 0.
// - Rate: one input transfer a cycle while the output is taken, BEATS cycles an output transfer.
//   Latency: 1 cycle from the last of a window's transfers to its result. The output is needed
//   only then: the transfers before are taken while the last result is still held.
// - Valid never waits for ready; output data holds while valid and not ready.
module pool #(
	int unsigned  BEATS,     // positions of a window
	int unsigned  PE,        // channels a transfer
	int unsigned  IN_BITS,   // width of a number that comes in
	bit           SIGNED,    // whether numbers are two's complement
	bit           BIPOLAR,   // whether numbers are one bit, 0 for -1 and 1 for +1
	bit           SUM,       // sum, else maximum
	int unsigned  ACC_BITS,  // width of a sum, signed like the numbers; IN_BITS for maxima
	int unsigned  SHIFT,     // bits cut off a sum, less than ACC_BITS; 0 for maxima
	int unsigned  OUT_BITS   // width of a number that goes out
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [PE*IN_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [PE*OUT_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	localparam int unsigned  BEAT_BITS = BEATS > 1? $clog2(BEATS) : 1;
	localparam bit  SIGNED_SUM = SIGNED || BIPOLAR;
	typedef logic [ACC_BITS-1:0]  acc_t;

	// Position in the window
	logic [BEAT_BITS-1:0]  Beat = '0;
	wire  first = Beat == 0;
	wire  last  = Beat == BEAT_BITS'(BEATS-1);

	// Only the last transfer of a window needs the output register
	wire  go;
	assign  irdy = !last || go;
	wire  step = ivld && irdy;
	always_ff @(posedge clk) begin
		if(rst)        Beat <= '0;
		else if(step)  Beat <= last? '0 : Beat + 1'b1;
	end
	output_valid valid (.clk, .rst, .vld(step && last), .go, .ovld, .ordy);
	logic [PE*OUT_BITS-1:0]  Out;
	assign  odat = Out;

	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire [IN_BITS-1:0]  raw = idat[pe*IN_BITS +: IN_BITS];
		acc_t  Acc, result;
		logic [OUT_BITS-1:0]  rounded;

		if(SUM) begin : genSum
			acc_t  value;
			extended_numbers #(
				.N(1), .IN_BITS(IN_BITS), .SIGNED(SIGNED), .BIPOLAR(BIPOLAR), .OUT_BITS(ACC_BITS)
			) extension (
				.raw, .value
			);
			assign  result = (first? '0 : Acc) + value;

			wire [ACC_BITS-SHIFT-1:0]  kept = result[ACC_BITS-1:SHIFT];
			assign  rounded = SIGNED_SUM? OUT_BITS'(signed'(kept)) : OUT_BITS'(kept);
		end : genSum
		else begin : genMax
			wire  greater = SIGNED? signed'(raw) > signed'(Acc) : raw > Acc;
			assign  result  = first || greater? raw : Acc;
			assign  rounded = result;
		end : genMax

		always_ff @(posedge clk) begin
			if(step)          Acc <= result;
			if(step && last)  Out[pe*OUT_BITS +: OUT_BITS] <= rounded;
		end
	end : genPE

	// Parameters that fit together
	initial begin
		assert(!BIPOLAR || (IN_BITS == 1)) else $error("%m: bipolar numbers of %0d bits.", IN_BITS);
		assert(SHIFT < ACC_BITS) else $error("%m: SHIFT=%0d of ACC_BITS=%0d.", SHIFT, ACC_BITS);
		assert(SUM || ((ACC_BITS == IN_BITS) && (OUT_BITS == IN_BITS) && (SHIFT == 0)))
			else $error("%m: a maximum is as wide as its numbers.");
	end

endmodule : pool
