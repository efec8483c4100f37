// The K greatest: for every LABELS numbers that come in, the indices of the K greatest go out, the
// greatest first; among equal numbers the lowest index first.
//
// - Exactly K output transfers for every LABELS/PE input transfers.
// - Rate: max(LABELS/PE, K) cycles a frame, no bubble between frames: one frame is put out while
//   the next comes in. Latency: 3 cycles from a frame's last input to the first label.
// - Valid never waits for ready; output data holds while valid and not ready.
// - Parameters and ports are those of label_select.sv.
module top_labels #(
	int unsigned  LABELS,      // numbers a frame
	int unsigned  K,           // labels a frame; at most LABELS
	int unsigned  PE,          // numbers a transfer; divides LABELS
	int unsigned  IN_BITS,     // width of a number
	bit           SIGNED,      // whether numbers are two's complement
	int unsigned  SUM_BITS,    // width of number plus bias, signed
	int unsigned  LABEL_BITS,  // width of an index
	logic [LABELS*SUM_BITS-1:0]  BIAS = '0
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [PE*IN_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [LABEL_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	localparam int unsigned  N = PE < K? PE : K;  // of a transfer that can be among the greatest
	localparam int unsigned  RANK_BITS = $clog2(PE + K + 1);
	localparam int unsigned  LEFT_BITS = $clog2(K + 1);
	typedef logic signed [SUM_BITS-1:0]  sum_t;
	typedef logic [LABEL_BITS-1:0]  label_t;
	typedef logic [RANK_BITS-1:0]  rank_t;

	// A frame's labels wait for those of the one before to be taken; numbers wait behind them
	logic  Vld1 = 0, First1, Last1;
	logic  Full = 0;                 // the list is a whole frame's
	logic [LEFT_BITS-1:0]  Left = '0;  // labels to be put out
	wire  load = Full && ((Left == 0) || ((Left == 1) && ordy));
	wire  go = !Full || load;
	assign  irdy = go;

	// Position in the frame
	logic [LABEL_BITS:0]  Base = '0;  // label of this transfer's first number
	wire  first = Base == 0;
	wire  last  = Base == (LABEL_BITS+1)'(LABELS - PE);
	always_ff @(posedge clk) begin
		if(rst)               Base <= '0;
		else if(go && ivld)   Base <= last? '0 : Base + (LABEL_BITS+1)'(PE);
	end

	// Stage #1: the N greatest of a transfer, in order
	wire [PE*SUM_BITS-1:0]  sums;
	wire [PE*RANK_BITS-1:0]  ranks;
	for(genvar  i = 0; i < PE; i++) begin : genRank
		wire [IN_BITS-1:0]  raw = idat[i*IN_BITS +: IN_BITS];
		wire sum_t  value = SIGNED? SUM_BITS'(signed'(raw)) : SUM_BITS'(raw);
		wire sum_t  bias = BIAS[(32'(Base) + i)*SUM_BITS +: SUM_BITS];
		assign  sums[i*SUM_BITS +: SUM_BITS] = value + bias;
		rank_t  rank;
		always_comb begin
			rank = '0;
			for(int unsigned  j = 0; j < PE; j++) begin
				automatic sum_t  mine = sums[i*SUM_BITS +: SUM_BITS];
				automatic sum_t  other = sums[j*SUM_BITS +: SUM_BITS];
				if((j < i) && (other >= mine))  rank = rank + 1'b1;
				if((j > i) && (other >  mine))  rank = rank + 1'b1;
			end
		end
		assign  ranks[i*RANK_BITS +: RANK_BITS] = rank;
	end : genRank

	sum_t    Sum1[N];
	label_t  Label1[N];
	for(genvar  n = 0; n < N; n++) begin : genOrder
		sum_t    sum;
		label_t  label;
		always_comb begin
			sum   = '0;
			label = '0;
			for(int unsigned  i = 0; i < PE; i++) begin
				if(ranks[i*RANK_BITS +: RANK_BITS] == rank_t'(n)) begin
					sum   = sums[i*SUM_BITS +: SUM_BITS];
					label = label_t'(Base) + label_t'(i);
				end
			end
		end
		always_ff @(posedge clk) begin
			if(go) begin
				Sum1[n]   <= sum;
				Label1[n] <= label;
			end
		end
	end : genOrder
	always_ff @(posedge clk) begin
		if(rst)      Vld1 <= 0;
		else if(go)  Vld1 <= ivld;
	end
	always_ff @(posedge clk) begin
		if(go)  { First1, Last1 } <= { first, last };
	end

	// Stage #2: merge them into the K greatest of the frame so far, both in order. Of equal numbers
	// the list's come first, for their labels are lower.
	logic [K-1:0]  Held2 = '0;  // which places of the list are taken
	sum_t    Sum2[K];
	label_t  Label2[K];
	rank_t   rank_old[K];
	rank_t   rank_new[N];
	always_comb begin
		for(int unsigned  k = 0; k < K; k++) begin
			rank_old[k] = rank_t'(k);
			for(int unsigned  n = 0; n < N; n++)  if(Sum1[n] > Sum2[k])  rank_old[k] = rank_old[k] + 1'b1;
		end
		for(int unsigned  n = 0; n < N; n++) begin
			rank_new[n] = rank_t'(n);
			for(int unsigned  k = 0; k < K; k++) begin
				if(!First1 && Held2[k] && !(Sum1[n] > Sum2[k]))  rank_new[n] = rank_new[n] + 1'b1;
			end
		end
	end
	for(genvar  k = 0; k < K; k++) begin : genMerge
		logic    held;
		sum_t    sum;
		label_t  label;
		always_comb begin
			held  = 0;
			sum   = '0;
			label = '0;
			for(int unsigned  j = 0; j < K; j++) begin
				if(!First1 && Held2[j] && (rank_old[j] == rank_t'(k))) begin
					held  = 1;
					sum   = Sum2[j];
					label = Label2[j];
				end
			end
			for(int unsigned  n = 0; n < N; n++) begin
				if(rank_new[n] == rank_t'(k)) begin
					held  = 1;
					sum   = Sum1[n];
					label = Label1[n];
				end
			end
		end
		always_ff @(posedge clk) begin
			if(go && Vld1) begin
				Held2[k]  <= held;
				Sum2[k]   <= sum;
				Label2[k] <= label;
			end
		end
	end : genMerge
	always_ff @(posedge clk) begin
		if(rst)      Full <= 0;
		else if(go)  Full <= Vld1 && Last1;
	end

	// Labels out, one by one
	label_t  Out[K];
	always_ff @(posedge clk) begin
		if(rst)                Left <= '0;
		else if(load)          Left <= LEFT_BITS'(K);
		else if(ovld && ordy)  Left <= Left - 1'b1;
	end
	for(genvar  k = 0; k < K; k++) begin : genOut
		always_ff @(posedge clk) begin
			if(load)               Out[k] <= Label2[k];
			else if(ovld && ordy)  Out[k] <= Out[k < K-1? k + 1 : k];
		end
	end : genOut
	assign  ovld = Left != 0;
	assign  odat = Out[0];

	// A fold that comes out even, and as many labels as there are numbers
	initial begin
		assert((LABELS/PE)*PE == LABELS) else $error("%m: PE=%0d must divide LABELS=%0d.", PE, LABELS);
		assert(K <= LABELS) else $error("%m: K=%0d is more than LABELS=%0d.", K, LABELS);
	end

endmodule : top_labels
