// Arg max: for every LABELS numbers that come in, the index of the greatest goes out.
//
// - Exactly one output transfer for every LABELS/PE input transfers; among equal numbers the
//   lowest index wins.
// - Rate: one input transfer a cycle while the output is taken, LABELS/PE cycles a frame, no
//   bubble between frames. Latency: 2 cycles after a frame's last input.
// - Valid never waits for ready; output data holds while valid and not ready.
// - Numbers are IN_BITS wide, signed or not; BIAS holds one signed number of SUM_BITS bits for
//   each label, added before comparing. SUM_BITS must hold every sum.
module label_select #(
	int unsigned  LABELS,      // numbers a frame
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
	localparam int unsigned  FOLD = LABELS/PE;
	typedef logic signed [SUM_BITS-1:0]  sum_t;
	typedef logic [LABEL_BITS-1:0]  label_t;

	// Everything stands still while the output is held
	wire  go;
	assign  irdy = go;

	// Position in the frame
	logic [LABEL_BITS:0]  Base = '0;  // label of this transfer's first number
	wire  first = Base == 0;
	wire  last  = Base == (LABEL_BITS+1)'(LABELS - PE);
	always_ff @(posedge clk) begin
		if(rst)               Base <= '0;
		else if(go && ivld)   Base <= last? '0 : Base + (LABEL_BITS+1)'(PE);
	end

	// Stage #1: best of a transfer
	sum_t    best;
	label_t  where;
	always_comb begin
		best  = '0;
		where = '0;
		for(int unsigned  pe = 0; pe < PE; pe++) begin
			automatic logic [IN_BITS-1:0]  raw = idat[pe*IN_BITS +: IN_BITS];
			automatic sum_t  value = SIGNED? SUM_BITS'(signed'(raw)) : SUM_BITS'(raw);
			automatic sum_t  sum;
			value = value + signed'(BIAS[(32'(Base) + pe)*SUM_BITS +: SUM_BITS]);
			sum = value;
			if((pe == 0) || (sum > best)) begin
				best  = sum;
				where = label_t'(Base) + label_t'(pe);
			end
		end
	end

	logic    Vld1 = 0;
	logic    First1, Last1;
	sum_t    Best1;
	label_t  Where1;
	always_ff @(posedge clk) begin
		if(rst)      Vld1 <= 0;
		else if(go)  Vld1 <= ivld;
	end
	always_ff @(posedge clk) begin
		if(go) begin
			First1 <= first;
			Last1  <= last;
			Best1  <= best;
			Where1 <= where;
		end
	end

	// Stage #2: best of the frame so far
	sum_t    Best2;
	label_t  Where2;
	wire  better = First1 || (Best1 > Best2);
	wire label_t  winner = better? Where1 : Where2;
	always_ff @(posedge clk) begin
		if(go && Vld1 && better) begin
			Best2  <= Best1;
			Where2 <= Where1;
		end
	end
	output_register #(.W(LABEL_BITS)) out (
		.clk, .rst, .idat(winner), .ivld(Vld1 && Last1), .irdy(go), .odat, .ovld, .ordy
	);

	// A fold that comes out even
	initial  assert(FOLD*PE == LABELS) else $error("%m: PE=%0d must divide LABELS=%0d.", PE, LABELS);

endmodule : label_select
