// Matrix-vector product of small integers, made of LUTs and adders: no DSP block, no multiplier.
//
// - For every vector of MW inputs (MW/SIMD transfers) MH sums go out (MH/PE transfers), in order;
//   a frame is any number of vectors. Sums are two's complement, ACC_BITS wide, which must hold
//   them; element 0 of a transfer lies in its least significant bits.
// - Weights of 1 to 8 bits and inputs of 1 to 8 bits, each unsigned, two's complement or bipolar:
//   see dot_product.sv for KINDs, and for how a product is made.
// - Rate: (MW/SIMD)*(MH/PE) cycles a vector when input is there and output is taken, without a
//   bubble between vectors. Inputs are taken during the first MW/SIMD of them and kept for the
//   other neurons.
// - Latency: 2 cycles from a vector's last input to the first sum, and those of dot_product.
// - Valid never waits for ready; output data holds while valid and not ready.
// - WEIGHTS is a $readmemh file of (MW/SIMD)*(MH/PE) words, neuron fold by neuron fold; bits
//   (p*SIMD + s)*W_BITS and up of a word are the weight of PE p for input s.
module lut_mvau #(
	int unsigned  MW,        // inputs
	int unsigned  MH,        // neurons
	int unsigned  SIMD,      // inputs a cycle; divides MW
	int unsigned  PE,        // neurons at a time; divides MH
	int unsigned  W_BITS,    // width of a weight
	int unsigned  X_BITS,    // width of an input
	int unsigned  W_KIND,    // kind of the weights
	int unsigned  X_KIND,    // kind of the inputs
	int unsigned  ACC_BITS,  // width of a sum
	parameter     WEIGHTS    // file of weights
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [SIMD*X_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [PE*ACC_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	localparam int unsigned  SF = MW/SIMD;       // transfers of inputs
	localparam int unsigned  NF = MH/PE;         // folds of neurons
	localparam int unsigned  DEPTH = SF*NF;
	localparam int unsigned  SF_BITS = SF > 1? $clog2(SF) : 1;
	localparam int unsigned  NF_BITS = NF > 1? $clog2(NF) : 1;
	localparam int unsigned  A_BITS = DEPTH > 1? $clog2(DEPTH) : 1;

	// Everything stands still while the output is held
	wire  go;

	//- Sequence: inputs fold by fold, for each fold of neurons --------------
	logic [SF_BITS-1:0]  Sf = '0;
	logic [NF_BITS-1:0]  Nf = '0;
	wire  fresh = Nf == 0;  // inputs come from the stream, else from the buffer
	wire  sf_last = Sf == SF_BITS'(SF-1);
	wire  nf_last = Nf == NF_BITS'(NF-1);
	wire  step = go && (ivld || !fresh);
	assign  irdy = go && fresh;
	always_ff @(posedge clk) begin
		if(rst) begin
			Sf <= '0;
			Nf <= '0;
		end
		else if(step) begin
			Sf <= sf_last? '0 : Sf + 1'b1;
			if(sf_last)  Nf <= nf_last? '0 : Nf + 1'b1;
		end
	end

	// Valid, first and last of a vector, beside the data: [0] at the inputs, [1] at the weights
	localparam bit  BIPOLAR = W_KIND == 2 || X_KIND == 2;
	localparam int unsigned  LATENCY = 1 + $clog2(SIMD) + (BIPOLAR? 1 : $clog2(W_BITS));
	logic [LATENCY:0]  Vld = '0, First, Last;
	always_ff @(posedge clk) begin
		if(rst)      Vld <= '0;
		else if(go)  Vld <= { Vld[LATENCY-1:0], step };
	end
	always_ff @(posedge clk) begin
		if(go) begin
			First <= { First[LATENCY-1:0], Sf == 0 };
			Last  <= { Last[LATENCY-1:0], sf_last };
		end
	end

	//- Inputs, from the stream or kept --------------------------------------
	logic [SIMD*X_BITS-1:0]  Direct;
	wire  [SIMD*X_BITS-1:0]  x;
	always_ff @(posedge clk)  if(go)  Direct <= idat;
	if(NF > 1) begin : genBuffer
		// Read behind a register, so that a long buffer can be block RAM
		logic [SIMD*X_BITS-1:0]  Buffer[SF];
		logic [SIMD*X_BITS-1:0]  Kept;
		logic  Fresh;
		always_ff @(posedge clk) begin
			if(step && fresh)  Buffer[Sf] <= idat;
			if(go && !fresh)   Kept <= Buffer[Sf];
			if(go)             Fresh <= fresh;
		end
		assign  x = Fresh? Direct : Kept;
	end : genBuffer
	else  assign  x = Direct;

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

	//- Weights, one stage behind the inputs, whose pairs take one -----------
	logic [A_BITS-1:0]  Addr = '0;
	wire  [PE*SIMD*W_BITS-1:0]  w;
	always_ff @(posedge clk) begin
		if(rst)                Addr <= '0;
		else if(go && Vld[0])  Addr <= Addr == A_BITS'(DEPTH-1)? '0 : Addr + 1'b1;
	end
	weight_memory #(.DEPTH(DEPTH), .BITS(PE*SIMD*W_BITS), .FILE(WEIGHTS)) memory (
		.clk, .en(go), .addr(Addr), .data(w)
	);

	//- Sums of SIMD products ------------------------------------------------
	wire [PE*ACC_BITS-1:0]  sums;
	for(genvar  pe = 0; pe < PE; pe++) begin : genDot
		dot_product #(
			.N(SIMD), .W_BITS(W_BITS), .B(B), .W_KIND(W_KIND), .X_KIND(X_KIND), .Y_BITS(ACC_BITS)
		) dot (
			.clk, .en(go), .w(w[pe*SIMD*W_BITS +: SIMD*W_BITS]), .b(numbers), .pairs, .share,
			.y(sums[pe*ACC_BITS +: ACC_BITS])
		);
	end : genDot

	//- Accumulators, which are the output register ---------------------------
	output_valid valid (.clk, .rst, .vld(Vld[LATENCY] && Last[LATENCY]), .go, .ovld, .ordy);
	for(genvar  pe = 0; pe < PE; pe++) begin : genSum
		wire [ACC_BITS-1:0]  sum = sums[pe*ACC_BITS +: ACC_BITS];
		logic [ACC_BITS-1:0]  Acc;
		if(SF == 1) begin : genWhole
			always_ff @(posedge clk)  if(go)  Acc <= sum;
		end : genWhole
		else begin : genPart
			wire [ACC_BITS-1:0]  earlier = First[LATENCY]? '0 : Acc;
			always_ff @(posedge clk)  if(go && Vld[LATENCY])  Acc <= sum + earlier;
		end : genPart
		assign  odat[pe*ACC_BITS +: ACC_BITS] = Acc;
	end : genSum

	// Folds that come out even
	initial begin
		assert(SF*SIMD == MW) else $error("%m: SIMD=%0d must divide MW=%0d.", SIMD, MW);
		assert(NF*PE == MH) else $error("%m: PE=%0d must divide MH=%0d.", PE, MH);
	end

endmodule : lut_mvau
