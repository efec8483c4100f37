// Changes the width of a stream: the same bits in the same order, IN_BITS at a time in and
// OUT_BITS at a time out, whatever their ratio.
//
// - The first bits are the least significant ones of the first transfer, on both sides.
// - Rate: the narrow side moves every cycle while input is there and output is taken; so a frame
//   of n transfers in and m out takes max(n, m) cycles.
// - Latency: 2 cycles from the input that completes an output; 1 where IN_BITS divides OUT_BITS.
// - Valid never waits for ready; output data holds while valid and not ready.
// - Bits stay inside until an output is complete: frames hold a whole number of transfers.
//
// Data is counted in units of the greatest common divisor of the widths. It moves by fixed
// distances only; an output is cut out of a window of the last inputs, by multiplexers of four.
module width_converter #(
	int unsigned  IN_BITS,
	int unsigned  OUT_BITS
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [IN_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [OUT_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	function automatic int unsigned gcd(input int unsigned  a, input int unsigned  b);
		automatic int unsigned  x = a;
		automatic int unsigned  y = b;
		for(int unsigned  i = 0; i < 64; i++) begin  // Euclid's steps for 32 bits are fewer
			if(y != 0) begin
				automatic int unsigned  rest = x % y;
				x = y;
				y = rest;
			end
		end
		return  x;
	endfunction : gcd
	localparam int unsigned  UNIT = gcd(IN_BITS, OUT_BITS);
	localparam int unsigned  A = IN_BITS/UNIT;   // units that come in
	localparam int unsigned  B = OUT_BITS/UNIT;  // units that go out
	localparam int unsigned  WINDOW = A + B - 1;  // holds an output wherever it begins
	localparam int unsigned  COUNT_BITS = $clog2(A + B);
	typedef logic [COUNT_BITS-1:0]  count_t;

	logic [WINDOW*UNIT-1:0]  Window;  // the last inputs, the newest on top
	wire  take = ivld && irdy;
	if(WINDOW > A) begin : genKeep
		always_ff @(posedge clk)  if(take)  Window <= { idat, Window[WINDOW*UNIT-1:IN_BITS] };
	end : genKeep
	else begin : genReplace
		always_ff @(posedge clk)  if(take)  Window <= idat;
	end : genReplace

	// Whether the window holds an output, and how many units it begins above the bottom
	logic    Full = 0;
	count_t  Start;
	wire     go;  // the output in the window moves on
	if(A <= B) begin : genNarrowIn
		// Every output ends in the newest input; Count units are left for the next one
		count_t  Count = '0;
		wire count_t  sum  = Count + count_t'(A);
		wire          fits = sum >= count_t'(B);
		wire count_t  rest = fits? sum - count_t'(B) : sum;
		assign  irdy = !Full || go;
		always_ff @(posedge clk) begin
			if(rst) begin
				Full  <= 0;
				Count <= '0;
			end
			else if(irdy) begin
				Full <= ivld && fits;
				if(ivld)  Count <= rest;
			end
		end
		// Count is what the newest input has above the end of the output
		assign  Start = count_t'(A - 1) - Count;
	end : genNarrowIn
	else begin : genNarrowOut
		// Where the next output begins, also while the window lacks its end
		count_t  Next = count_t'(WINDOW);
		wire count_t  after = Next + count_t'(B);
		wire          last  = after >= count_t'(A);  // the window can't hold the one after it
		assign  irdy = !Full || (go && last);
		always_ff @(posedge clk) begin
			if(rst) begin
				Full <= 0;
				Next <= count_t'(WINDOW);
			end
			else if(take) begin
				Full <= 1;
				Next <= (Full? after : Next) - count_t'(A);
			end
			else if(Full && go) begin
				Full <= !last;
				Next <= after;
			end
		end
		assign  Start = Next;
	end : genNarrowOut

	if(A == 1) begin : genWhole
		// The window is the output
		assign  go = ordy;
		assign  ovld = Full;
		assign  odat = Window;
	end : genWhole
	else begin : genCut
		// Coarse steps first, for only the fine ones need what is above the output. Each level looks
		// at two bits of Start, the finest at one where there is an odd number of them.
		localparam int unsigned  START_BITS = $clog2(A);
		localparam int unsigned  LEVELS = (START_BITS + 1)/2;
		localparam int unsigned  ODD = START_BITS % 2;
		wire [2*LEVELS-1:0]  start = (2*LEVELS)'(Start) << ODD;
		wire [LEVELS:0][WINDOW*UNIT-1:0]  cut;
		assign  cut[LEVELS] = Window;
		for(genvar  level = 0; level < LEVELS; level++) begin : genLevel
			localparam int unsigned  STEP = 4**level * UNIT;
			wire [WINDOW*UNIT-1:0]  x = cut[level+1];
			wire [1:0]  sel = start[2*level +: 2];
			assign  cut[level] = sel[1]?
				(sel[0]? x >> (3*STEP >> ODD) : x >> (2*STEP >> ODD)) :
				(sel[0]? x >> (STEP >> ODD) : x);
		end : genLevel

		output_register #(.W(OUT_BITS)) out (
			.clk, .rst, .idat(cut[0][OUT_BITS-1:0]), .ivld(Full), .irdy(go), .odat, .ovld, .ordy
		);
	end : genCut

endmodule : width_converter
