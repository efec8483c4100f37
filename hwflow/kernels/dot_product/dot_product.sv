// Sums of products without multipliers, for the matrix-vector and the depthwise unit.
//
// A product of two numbers is the sum, over the bits of one, of the other where the bit is set.
// Sums over all N products are made for each bit first (a plane), and then of the planes with
// their weights. The planes are those of the operand with fewer bits. All adders have two
// operands and a register behind each, which every FPGA packs into one LUT and flip-flop a bit.
//
// KINDs of numbers: 0 unsigned; 1 two's complement; 2 bipolar, one bit, 0 for -1 and 1 for +1.
// - bipolar weights:  sum(w*x) = 2*sum(x where w is +1) - sum(x)
// - bipolar inputs:   sum(w*x) = sum(w, inverted where x is -1) + number of such x
// The last term of either, the share, does not depend on the neuron: dot_share makes it, once.

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
				wire signed [W:0]  upper = low >>> STEP;
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

// The share of N inputs; latency $clog2(N) cycles. Zero where no operand is bipolar.
module dot_share #(
	int unsigned  N,
	int unsigned  X_BITS,
	int unsigned  W_KIND,
	int unsigned  X_KIND,
	localparam int unsigned  BITS = X_BITS + (X_KIND == 2) + $clog2(N)
)(
	input	logic  clk,
	input	logic  en,
	input	logic [N*X_BITS-1:0]  x,
	output	logic [BITS-1:0]  share
);
	localparam int unsigned  W = X_BITS + (X_KIND == 2);
	logic [N*W-1:0]  terms;
	if(W_KIND == 2 && X_KIND == 2) begin : genBoth  // -1 and +1 as two-bit numbers
		for(genvar  i = 0; i < N; i++)  assign  terms[2*i +: 2] = { !x[i], 1'b1 };
	end : genBoth
	else if(W_KIND == 2) begin : genInputs
		assign  terms = x;
	end : genInputs
	else begin : genNegative
		for(genvar  i = 0; i < N; i++)  assign  terms[W*i +: W] = W'(!x[i*X_BITS]);
	end : genNegative

	if(W_KIND == 2 || X_KIND == 2) begin : genTree
		localparam bit  SIGNED = W_KIND == 2 && X_KIND != 0;
		adder_tree #(.N(N), .W(W), .SIGNED(SIGNED)) tree (.clk, .en, .a(terms), .y(share));
	end : genTree
	else  assign  share = '0;
endmodule : dot_share

// Sum of N products of weights and inputs, and the share added.
// Latency: $clog2(N) cycles, and $clog2 of the number of planes; one more where an operand is
// bipolar, which has a single plane.
module dot_product #(
	int unsigned  N,
	int unsigned  W_BITS,
	int unsigned  X_BITS,
	int unsigned  W_KIND,
	int unsigned  X_KIND,
	int unsigned  Y_BITS,  // width of the sum
	localparam int unsigned  SHARE_BITS = X_BITS + (X_KIND == 2) + $clog2(N)
)(
	input	logic  clk,
	input	logic  en,
	input	logic [N*W_BITS-1:0]  w,
	input	logic [N*X_BITS-1:0]  x,
	input	logic [SHARE_BITS-1:0]  share,  // of the inputs $clog2(N) cycles ago
	output	logic signed [Y_BITS-1:0]  y
);
	localparam bit  BIPOLAR = W_KIND == 2 || X_KIND == 2;
	// a: the operand whose bits make planes; b: the one that is added. Bipolar numbers that are
	// added have two bits.
	localparam bit  PLANES_OF_W = W_KIND == 2 || (X_KIND != 2 && W_BITS <= X_BITS);
	localparam int unsigned  A_BITS = PLANES_OF_W? W_BITS : X_BITS;
	localparam int unsigned  A_KIND = PLANES_OF_W? W_KIND : X_KIND;
	localparam int unsigned  B_KIND = PLANES_OF_W? X_KIND : W_KIND;
	localparam int unsigned  B_BITS = (PLANES_OF_W? X_BITS : W_BITS) + (B_KIND == 2);
	// Numbers inverted are negative even where none was.
	localparam bit  INVERT = X_KIND == 2 && !PLANES_OF_W;
	localparam int unsigned  T_BITS = B_BITS + (INVERT && B_KIND == 0);
	localparam bit  T_SIGNED = B_KIND != 0 || INVERT;
	localparam int unsigned  P_BITS = T_BITS + $clog2(N);

	for(genvar  k = 0; k < A_BITS; k++) begin : genPlane
		logic [N*T_BITS-1:0]  terms;
		for(genvar  i = 0; i < N; i++) begin : genTerm
			wire  bit_a = PLANES_OF_W? w[i*W_BITS + (PLANES_OF_W? k : 0)] : x[i*X_BITS + (PLANES_OF_W? 0 : k)];
			wire [T_BITS-1:0]  b;
			if(B_KIND == 2)        assign  b = { !x[i], 1'b1 };
			else if(PLANES_OF_W)   assign  b = x[i*X_BITS +: X_BITS];
			else                   assign  b = T_BITS'(signed'({ W_KIND == 1 && w[i*W_BITS + W_BITS-1], w[i*W_BITS +: W_BITS] }));
			assign  terms[i*T_BITS +: T_BITS] = INVERT? b ^ {T_BITS{!bit_a}} : b & {T_BITS{bit_a}};
		end : genTerm
		logic [P_BITS-1:0]  plane;
		adder_tree #(.N(N), .W(T_BITS), .SIGNED(T_SIGNED)) tree (.clk, .en, .a(terms), .y(plane));
	end : genPlane

	if(BIPOLAR) begin : genShare
		wire signed [Y_BITS-1:0]  plane = Y_BITS'(signed'({ T_SIGNED && genPlane[0].plane[P_BITS-1], genPlane[0].plane }));
		localparam bit  SHARE_SIGNED = W_KIND == 2 && X_KIND != 0;
		wire signed [Y_BITS-1:0]  other = Y_BITS'(signed'({ SHARE_SIGNED && share[SHARE_BITS-1], share }));
		always_ff @(posedge clk) begin
			if(en)  y <= INVERT? plane + other : (plane <<< 1) - other;
		end
	end : genShare
	else begin : genPlanes
		localparam int unsigned  W = P_BITS + !T_SIGNED;
		logic [A_BITS*W-1:0]  planes;
		for(genvar  k = 0; k < A_BITS; k++) begin : genSigned
			assign  planes[k*W +: W] = W'(signed'({ T_SIGNED && genPlane[k].plane[P_BITS-1], genPlane[k].plane }));
		end : genSigned
		plane_sum #(
			.K(A_BITS), .W(W), .STEP(1), .NEGATE(A_KIND == 1), .Y(Y_BITS)
		) sum (.clk, .en, .a(planes), .y);
	end : genPlanes
endmodule : dot_product
