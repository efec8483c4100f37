// Depthwise products: each channel of a window with weights of its own.
//
// - For every window, CHANNELS/PE groups of PE channels; for every group KERNEL/SIMD transfers in,
//   of SIMD positions of the window, and one out, of PE sums. Element s*PE + p of an input
//   transfer is position s of channel p, element p of an output transfer the sum of channel p;
//   element 0 lies in the least significant bits. So FINN's depthwise sliding window puts it out.
// - Weights of 1 to 8 bits and inputs of 1 to 8 bits, each unsigned, two's complement or bipolar
//   (see dot_product.sv for KINDs). Sums are ACC_BITS wide, which must hold them.
// - DSP = 0: no multipliers, LUTs and adders. DSP = 1: a multiplier for each product, in a DSP
//   block; no kind may be bipolar.
// - Rate: an input transfer in every cycle while the output is taken: (CHANNELS/PE)*(KERNEL/SIMD)
//   cycles a window, without a bubble between windows.
// - Latency: 2 cycles from a group's last input to its sums, and those of dot_product.
// - Valid never waits for ready; output data holds while valid and not ready.
// - WEIGHTS is a $readmemh file of (CHANNELS/PE)*(KERNEL/SIMD) words, in the order of the input;
//   bits (p*SIMD + s)*W_BITS and up of a word are the weight of channel p at position s.
module vvau #(
	int unsigned  CHANNELS,
	int unsigned  KERNEL,    // positions of a window
	int unsigned  PE,        // channels at a time; divides CHANNELS
	int unsigned  SIMD,      // positions at a time; divides KERNEL
	int unsigned  W_BITS,    // width of a weight
	int unsigned  X_BITS,    // width of an input
	int unsigned  W_KIND,    // kind of the weights
	int unsigned  X_KIND,    // kind of the inputs
	int unsigned  ACC_BITS,  // width of a sum
	bit           DSP,       // whether multipliers are DSP blocks
	parameter     WEIGHTS    // file of weights
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [SIMD*PE*X_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [PE*ACC_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	localparam int unsigned  SF = KERNEL/SIMD;
	localparam int unsigned  NF = CHANNELS/PE;
	localparam int unsigned  DEPTH = SF*NF;
	localparam int unsigned  SF_BITS = SF > 1? $clog2(SF) : 1;
	localparam int unsigned  A_BITS = DEPTH > 1? $clog2(DEPTH) : 1;

	// Everything stands still while the output is held
	wire  go;
	assign  irdy = go;
	wire  step = go && ivld;

	//- Sequence --------------------------------------------------------------
	logic [SF_BITS-1:0]  Sf = '0;
	logic [A_BITS-1:0]   Addr = '0;
	wire  sf_last = Sf == SF_BITS'(SF-1);
	always_ff @(posedge clk) begin
		if(rst) begin
			Sf   <= '0;
			Addr <= '0;
		end
		else if(step) begin
			Sf   <= sf_last? '0 : Sf + 1'b1;
			Addr <= Addr == A_BITS'(DEPTH-1)? '0 : Addr + 1'b1;
		end
	end

	// Valid, first and last of a window, beside the data: [0] at the weights
	localparam bit  BIPOLAR = W_KIND == 2 || X_KIND == 2;
	localparam int unsigned  LATENCY = $clog2(SIMD) + (DSP || BIPOLAR? 1 : $clog2(W_BITS));
	logic [LATENCY:0]  Vld = '0, First, Last;
	always_ff @(posedge clk) begin
		if(rst)      Vld <= '0;
		else if(go)  Vld <= (LATENCY+1)'({ Vld, step });
	end
	always_ff @(posedge clk) begin
		if(go) begin
			First <= (LATENCY+1)'({ First, Sf == 0 });
			Last  <= (LATENCY+1)'({ Last, sf_last });
		end
	end

	//- Weights ----------------------------------------------------------------
	wire [PE*SIMD*W_BITS-1:0]  weights;
	weight_memory #(.DEPTH(DEPTH), .BITS(PE*SIMD*W_BITS), .FILE(WEIGHTS)) memory (
		.clk, .en(go), .addr(Addr), .data(weights)
	);

	//- Sums of SIMD products, accumulators, which are the output register ------
	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire [SIMD*X_BITS-1:0]  x;
		for(genvar  s = 0; s < SIMD; s++) begin : genPosition
			assign  x[s*X_BITS +: X_BITS] = idat[(s*PE + pe)*X_BITS +: X_BITS];
		end : genPosition
		wire [SIMD*W_BITS-1:0]  w = weights[pe*SIMD*W_BITS +: SIMD*W_BITS];

		wire [ACC_BITS-1:0]  sum;
		if(DSP) begin : genMultiply
			localparam int unsigned  P_BITS = W_BITS + X_BITS + 1;
			wire [SIMD*P_BITS-1:0]  products;
			for(genvar  s = 0; s < SIMD; s++) begin : genProduct
				logic [X_BITS-1:0]  X;
				always_ff @(posedge clk)  if(go)  X <= x[s*X_BITS +: X_BITS];
				wire signed [W_BITS:0]  lhs = { W_KIND == 1 && w[s*W_BITS + W_BITS-1], w[s*W_BITS +: W_BITS] };
				wire signed [X_BITS:0]  rhs = { X_KIND == 1 && X[X_BITS-1], X };
				(* use_dsp = "yes" *)
				logic signed [P_BITS-1:0]  Product;
				always_ff @(posedge clk)  if(go)  Product <= lhs * rhs;
				assign  products[s*P_BITS +: P_BITS] = Product;
			end : genProduct
			wire signed [P_BITS+$clog2(SIMD)-1:0]  all;
			adder_tree #(.N(SIMD), .W(P_BITS), .SIGNED(1)) tree (.clk, .en(go), .a(products), .y(all));
			assign  sum = ACC_BITS'(all);
		end : genMultiply
		else begin : genAdd
			localparam int unsigned  B = X_BITS + (X_KIND == 2);
			localparam int unsigned  H = (SIMD+1)/2;
			wire [SIMD*B-1:0]  numbers;
			wire [H*(B+1)-1:0]  pairs;
			wire [B+$clog2(H):0]  share;
			input_pairs #(.N(SIMD), .X_BITS(X_BITS), .X_KIND(X_KIND)) pairing (
				.clk, .en(go), .x, .b(numbers), .pairs
			);
			dot_share #(.N(SIMD), .B(B), .W_KIND(W_KIND), .X_KIND(X_KIND)) sharing (
				.clk, .en(go), .b(numbers), .pairs, .share
			);
			dot_product #(
				.N(SIMD), .W_BITS(W_BITS), .B(B), .W_KIND(W_KIND), .X_KIND(X_KIND), .Y_BITS(ACC_BITS)
			) dot (.clk, .en(go), .w, .b(numbers), .pairs, .share, .y(sum));
		end : genAdd

		logic [ACC_BITS-1:0]  Acc;
		if(SF == 1) begin : genWhole
			always_ff @(posedge clk)  if(go)  Acc <= sum;
		end : genWhole
		else begin : genPart
			wire [ACC_BITS-1:0]  earlier = First[LATENCY]? '0 : Acc;
			always_ff @(posedge clk)  if(go && Vld[LATENCY])  Acc <= sum + earlier;
		end : genPart
		assign  odat[pe*ACC_BITS +: ACC_BITS] = Acc;
	end : genPE

	output_valid valid (.clk, .rst, .vld(Vld[LATENCY] && Last[LATENCY]), .go, .ovld, .ordy);

	// Folds that come out even, and kinds that a multiplier takes
	initial begin
		assert(SF*SIMD == KERNEL) else $error("%m: SIMD=%0d must divide KERNEL=%0d.", SIMD, KERNEL);
		assert(NF*PE == CHANNELS) else $error("%m: PE=%0d must divide CHANNELS=%0d.", PE, CHANNELS);
		assert(!DSP || !BIPOLAR) else $error("%m: DSP blocks multiply no bipolar numbers.");
	end

endmodule : vvau
