// Matrix-vector product of binary numbers: weights and inputs are -1 or +1, one bit each.
//
// - For every frame of MW inputs (MW/SIMD transfers) MH sums go out (MH/PE transfers), in order.
//   A sum is 2*popcount(xnor(w, x)) - MW, two's complement, ACC_BITS wide.
// - Rate: (MW/SIMD)*(MH/PE) cycles a frame when input is there and output is taken. Inputs are
//   taken during the first MW/SIMD of them and kept for the other neurons.
// - Latency: 4 cycles from an input to its contribution to a sum.
// - Valid never waits for ready; output data holds while valid and not ready.
// - WEIGHTS is a $readmemh file of (MW/SIMD)*(MH/PE) words, neuron fold by neuron fold; bit
//   p*SIMD + s of a word is the weight of PE p for input s, 1 for +1.
module xnor_mvau #(
	int unsigned  MW,        // inputs
	int unsigned  MH,        // neurons
	int unsigned  SIMD,      // inputs a cycle; divides MW
	int unsigned  PE,        // neurons at a time; divides MH
	int unsigned  ACC_BITS,  // width of a sum
	parameter     WEIGHTS    // file of weights
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [SIMD-1:0]  idat,
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
	localparam int unsigned  CHUNK = 24;         // bits counted in one stage
	localparam int unsigned  CHUNKS = (SIMD + CHUNK-1)/CHUNK;
	localparam int unsigned  COUNT_BITS = $clog2(MW+1);
	typedef logic [COUNT_BITS-1:0]  count_t;

	// Everything stands still while the output is held
	wire  go;

	//- Sequence: inputs fold by fold, for each fold of neurons --------------
	logic [SF_BITS-1:0]  Sf = '0;
	logic [NF_BITS-1:0]  Nf = '0;
	logic [A_BITS-1:0]   Addr = '0;
	wire  fresh = Nf == 0;  // inputs come from the stream, else from the buffer
	wire  sf_last = Sf == SF_BITS'(SF-1);
	wire  nf_last = Nf == NF_BITS'(NF-1);
	wire  step = go && (ivld || !fresh);
	assign  irdy = go && fresh;
	always_ff @(posedge clk) begin
		if(rst) begin
			Sf   <= '0;
			Nf   <= '0;
			Addr <= '0;
		end
		else if(step) begin
			Sf <= sf_last? '0 : Sf + 1'b1;
			if(sf_last)  Nf <= nf_last? '0 : Nf + 1'b1;
			Addr <= sf_last && nf_last? '0 : Addr + 1'b1;
		end
	end

	//- Stage #1: operands ---------------------------------------------------
	logic  Vld1 = 0, First1, Last1;
	logic [SIMD-1:0]  X1;
	wire  [PE*SIMD-1:0]  W1;
	always_ff @(posedge clk) begin
		if(rst)      Vld1 <= 0;
		else if(go)  Vld1 <= step;
	end
	always_ff @(posedge clk) begin
		if(go) begin
			First1 <= Sf == 0;
			Last1  <= sf_last;
		end
	end

	weight_memory #(.DEPTH(DEPTH), .BITS(PE*SIMD), .FILE(WEIGHTS)) memory (
		.clk, .en(go), .addr(Addr), .data(W1)
	);

	if(NF > 1) begin : genBuffer
		logic [SIMD-1:0]  Buffer[SF];
		wire [SIMD-1:0]  kept = Buffer[Sf];
		always_ff @(posedge clk) begin
			if(step && fresh)  Buffer[Sf] <= idat;
			if(go)             X1 <= fresh? idat : kept;
		end
	end : genBuffer
	else begin : genDirect
		always_ff @(posedge clk)  if(go)  X1 <= idat;
	end : genDirect

	//- Stages #2 and #3: popcount, in chunks and then in all ------------------
	logic  Vld2 = 0, First2, Last2;
	logic  Vld3 = 0, First3, Last3;
	always_ff @(posedge clk) begin
		if(rst) begin
			Vld2 <= 0;
			Vld3 <= 0;
		end
		else if(go) begin
			Vld2 <= Vld1;
			Vld3 <= Vld2;
		end
	end
	always_ff @(posedge clk) begin
		if(go) begin
			{ First2, Last2 } <= { First1, Last1 };
			{ First3, Last3 } <= { First2, Last2 };
		end
	end

	wire [PE*ACC_BITS-1:0]  sums;
	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire [SIMD-1:0]  equal = ~(X1 ^ W1[pe*SIMD +: SIMD]);
		count_t  Part2[CHUNKS];
		for(genvar  c = 0; c < CHUNKS; c++) begin : genChunk
			localparam int unsigned  BITS = SIMD - c*CHUNK < CHUNK? SIMD - c*CHUNK : CHUNK;
			count_t  ones;
			always_comb begin
				ones = '0;
				for(int unsigned  i = 0; i < BITS; i++)  ones = ones + count_t'(equal[c*CHUNK + i]);
			end
			always_ff @(posedge clk)  if(go)  Part2[c] <= ones;
		end : genChunk

		count_t  sum, Sum3, Acc;
		always_comb begin
			sum = '0;
			for(int unsigned  c = 0; c < CHUNKS; c++)  sum = sum + Part2[c];
		end
		wire count_t  total = (First3? '0 : Acc) + Sum3;
		always_ff @(posedge clk) begin
			if(go) begin
				Sum3 <= sum;
				if(Vld3)  Acc <= total;
			end
		end
		assign  sums[pe*ACC_BITS +: ACC_BITS] = ACC_BITS'({ total, 1'b0 }) - ACC_BITS'(MW);
	end : genPE
	output_register #(.W(PE*ACC_BITS)) out (
		.clk, .rst, .idat(sums), .ivld(Vld3 && Last3), .irdy(go), .odat, .ovld, .ordy
	);

	// Folds that come out even
	initial begin
		assert(SF*SIMD == MW) else $error("%m: SIMD=%0d must divide MW=%0d.", SIMD, MW);
		assert(NF*PE == MH) else $error("%m: PE=%0d must divide MH=%0d.", PE, MH);
	end

endmodule : xnor_mvau
