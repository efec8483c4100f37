// Sums of products without multipliers, for the matrix-vector and the depthwise unit.
//
// A product is the sum, over the bits of a weight, of the input where the bit is set. All products
// of a sum are added up bit by bit of the weights first (a plane), then the planes. Inputs go in
// pairs: what a pair contributes to a plane is one of 0, a, b and a + b, by two bits of weights;
// that is one LUT a bit, and a + b is made once for all planes and neurons (distributed
// arithmetic; White 1989). Behind each LUT is a register, which takes no room of its own.
//
// KINDs of numbers: 0 unsigned; 1 two's complement; 2 bipolar, one bit, 0 for -1 and 1 for +1.
// - bipolar weights:  sum(w*x) = 2*sum(x where w is +1) - sum(x)
// - bipolar inputs:   sum(w*x) = sum(w, inverted where x is -1) + number of such x
// The last term of either, the share, is the same for all neurons: dot_share makes it.

// Sum of N numbers of W bits; latency $clog2(N) cycles.
module adder_tree #(
	int unsigned  N,
	int unsigned  W,
	bit           SIGNED,
	localparam int unsigned  Y = W + $clog2(N)
)(
	input	logic  clk,
	input	logic  en,
	input	logic [N*W-1:0]  a,
	output	logic [Y-1:0]  y
);
	if(N == 1)  assign  y = a;
	else begin : genLevel
		localparam int unsigned  M = (N+1)/2;
		logic [M*(W+1)-1:0]  Sums;
		for(genvar  i = 0; i < M; i++) begin : genSum
			wire [W-1:0]  lhs = a[2*i*W +: W];
			wire [W:0]  left = { SIGNED && lhs[W-1], lhs };
			if(2*i + 1 < N) begin : genPair
				wire [W-1:0]  rhs = a[(2*i+1)*W +: W];
				wire [W:0]  right = { SIGNED && rhs[W-1], rhs };
				always_ff @(posedge clk)  if(en)  Sums[i*(W+1) +: W+1] <= left + right;
			end : genPair
			else begin : genOdd
				always_ff @(posedge clk)  if(en)  Sums[i*(W+1) +: W+1] <= left;
			end : genOdd
		end : genSum
		adder_tree #(.N(M), .W(W+1), .SIGNED(SIGNED)) rest (.clk, .en, .a(Sums), .y);
	end : genLevel
endmodule : adder_tree

// Sum of K signed planes of W bits, the k-th times 2^(k*STEP), the last negative if NEGATE;
// latency $clog2(K) cycles.
module plane_sum #(
	int unsigned  K,
	int unsigned  W,
	int unsigned  STEP,
	bit           NEGATE,
	int unsigned  Y
)(
	input	logic  clk,
	input	logic  en,
	input	logic [K*W-1:0]  a,
	output	logic signed [Y-1:0]  y
);
	if(K == 1)  assign  y = Y'(signed'(a));
	else begin : genLevel
		localparam int unsigned  M = (K+1)/2;
		localparam int unsigned  V = W + STEP + 1;
		logic [M*V-1:0]  Sums;
		for(genvar  i = 0; i < M; i++) begin : genSum
			wire signed [W-1:0]  low = a[2*i*W +: W];
			if(2*i + 1 < K) begin : genPair
				localparam bit  MINUS = NEGATE && (2*i + 2 == K);
				wire signed [W-1:0]  high = a[(2*i+1)*W +: W];
				wire signed [W:0]  upper = (W+1)'(low >>> STEP);
				always_ff @(posedge clk) begin
					if(en)  Sums[i*V +: V] <= { MINUS? upper - high : upper + high, low[STEP-1:0] };
				end
			end : genPair
			else begin : genOdd
				always_ff @(posedge clk)  if(en)  Sums[i*V +: V] <= V'(low);
			end : genOdd
		end : genSum
		plane_sum #(
			.K(M), .W(V), .STEP(2*STEP), .NEGATE(NEGATE && (K%2 == 1)), .Y(Y)
		) rest (.clk, .en, .a(Sums), .y);
	end : genLevel
endmodule : plane_sum

// Inputs as numbers, and the sums of pairs of them: what the modules below start from; latency 1
// cycle. A bipolar input becomes a number of two bits. The last of an odd number pairs with 0.
module input_pairs #(
	int unsigned  N,
	int unsigned  X_BITS,
	int unsigned  X_KIND,
	localparam int unsigned  B = X_BITS + (X_KIND == 2),  // width of an input as number
	localparam int unsigned  H = (N+1)/2                  // pairs
)(
	input	logic  clk,
	input	logic  en,
	input	logic [N*X_BITS-1:0]  x,
	output	logic [N*B-1:0]  b,
	output	logic [H*(B+1)-1:0]  pairs
);
	logic [2*H*B-1:0]  numbers;
	for(genvar  i = 0; i < 2*H; i++) begin : genNumber
		if(i >= N)            assign  numbers[i*B +: B] = '0;
		else if(X_KIND == 2)  assign  numbers[i*B +: B] = B'({ !x[i], 1'b1 });
		else                  assign  numbers[i*B +: B] = x[i*B +: B];
	end : genNumber
	for(genvar  i = 0; i < H; i++) begin : genPair
		wire [B-1:0]  lhs = numbers[2*i*B +: B];
		wire [B-1:0]  rhs = numbers[(2*i+1)*B +: B];
		always_ff @(posedge clk) begin
			if(en) begin
				pairs[i*(B+1) +: B+1] <= { X_KIND != 0 && lhs[B-1], lhs } + { X_KIND != 0 && rhs[B-1], rhs };
			end
		end
	end : genPair
	always_ff @(posedge clk)  if(en)  b <= numbers[N*B-1:0];
endmodule : input_pairs

// The share of inputs and pairs; latency $clog2(N) cycles. Zero where nothing is bipolar.
module dot_share #(
	int unsigned  N,
	int unsigned  B,
	int unsigned  W_KIND,
	int unsigned  X_KIND,
	localparam int unsigned  H = (N+1)/2,
	localparam int unsigned  S = B + 1 + $clog2(H)  // width
)(
	input	logic  clk,
	input	logic  en,
	input	logic [N*B-1:0]  b,
	input	logic [H*(B+1)-1:0]  pairs,
	output	logic [S-1:0]  share
);
	if(W_KIND == 2) begin : genInputs
		wire [S-1:0]  sum;
		adder_tree #(.N(H), .W(B+1), .SIGNED(X_KIND != 0)) tree (.clk, .en, .a(pairs), .y(sum));
		if(N == 1)  assign  share = sum;
		else  always_ff @(posedge clk)  if(en)  share <= sum;
	end : genInputs
	else if(X_KIND == 2) begin : genNegative
		wire [N-1:0]  negative;
		wire [$clog2(N):0]  count;
		for(genvar  i = 0; i < N; i++)  assign  negative[i] = b[i*B + B-1];
		adder_tree #(.N(N), .W(1), .SIGNED(0)) tree (.clk, .en, .a(negative), .y(count));
		assign  share = S'(count);
	end : genNegative
	else  assign  share = '0;
endmodule : dot_share

// Sum of N products of weights and inputs, and the share taken in.
// Latency: $clog2(N) cycles, and then $clog2 of the planes, or one more where a kind is bipolar.
module dot_product #(
	int unsigned  N,
	int unsigned  W_BITS,
	int unsigned  B,       // width of an input as number
	int unsigned  W_KIND,
	int unsigned  X_KIND,
	int unsigned  Y_BITS,  // width of the sum, which holds it modulo 2^Y_BITS
	localparam int unsigned  H = (N+1)/2,
	localparam int unsigned  S = B + 1 + $clog2(H)
)(
	input	logic  clk,
	input	logic  en,
	input	logic [N*W_BITS-1:0]  w,
	input	logic [N*B-1:0]  b,
	input	logic [H*(B+1)-1:0]  pairs,
	input	logic [S-1:0]  share,  // of inputs $clog2(N) cycles ago
	output	logic signed [Y_BITS-1:0]  y
);
	if(X_KIND == 2 && W_KIND != 2) begin : genInvert
		// Weights, inverted where the input is -1; signed then, whatever they were
		localparam int unsigned  T = W_BITS + (W_KIND == 0);
		localparam int unsigned  P = T + $clog2(N);
		wire [N*T-1:0]  terms;
		for(genvar  i = 0; i < N; i++) begin : genTerm
			assign  terms[i*T +: T] = T'(w[i*W_BITS +: W_BITS]) ^ {T{b[i*B + B-1]}};
		end : genTerm
		wire signed [P-1:0]  sum;
		adder_tree #(.N(N), .W(T), .SIGNED(1)) tree (.clk, .en, .a(terms), .y(sum));
		wire signed [S:0]  other = { 1'b0, share };
		always_ff @(posedge clk)  if(en)  y <= Y_BITS'(sum) + Y_BITS'(other);
	end : genInvert
	else begin : genSelect
		localparam bit  SIGNED = X_KIND != 0;
		localparam int unsigned  P = B + 1 + $clog2(H) + !SIGNED;  // width of a plane, signed
		wire [W_BITS*P-1:0]  planes;
		for(genvar  k = 0; k < W_BITS; k++) begin : genPlane
			logic [H*(B+1)-1:0]  terms;
			for(genvar  i = 0; i < H; i++) begin : genTerm
				localparam int unsigned  J = 2*i + 1 < N? 2*i + 1 : 2*i;  // the pair's second input
				wire  wa = w[2*i*W_BITS + k];
				wire  wb = (J > 2*i) && w[J*W_BITS + k];
				wire [B-1:0]  ba = b[2*i*B +: B];
				wire [B-1:0]  bb = b[J*B +: B];
				wire [B:0]  both = pairs[i*(B+1) +: B+1];
				wire [B:0]  term =
					wa && wb? both :
					wa?       { SIGNED && ba[B-1], ba } :
					wb?       { SIGNED && bb[B-1], bb } : '0;
				if(N == 1)  assign  terms = term;
				else  always_ff @(posedge clk)  if(en)  terms[i*(B+1) +: B+1] <= term;
			end : genTerm
			wire [B+$clog2(H):0]  plane;
			adder_tree #(.N(H), .W(B+1), .SIGNED(SIGNED)) tree (.clk, .en, .a(terms), .y(plane));
			assign  planes[k*P +: P] = P'(plane);
		end : genPlane

		if(W_KIND == 2) begin : genBipolar
			wire signed [P-1:0]  plane = planes;
			wire signed [P-1:0]  other = P'(share);
			wire signed [P:0]  twice = { plane, 1'b0 };
			always_ff @(posedge clk)  if(en)  y <= Y_BITS'(twice) - Y_BITS'(other);
		end : genBipolar
		else begin : genWeighted
			plane_sum #(
				.K(W_BITS), .W(P), .STEP(1), .NEGATE(W_KIND == 1), .Y(Y_BITS)
			) sum (.clk, .en, .a(planes), .y);
		end : genWeighted
	end : genSelect
endmodule : dot_product
