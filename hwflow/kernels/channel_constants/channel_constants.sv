// The constants of the channels of a stream, in step with it.
//
// - CONSTANTS is a $readmemh file of FOLDS words of BITS bits: a word for each transfer of a pixel.
// - A cycle after a transfer is taken (go and vld), dat is its word; dat stands still without go.
module channel_constants #(
	int unsigned  FOLDS,     // transfers of a pixel
	int unsigned  BITS,      // width of a word
	parameter     CONSTANTS, // file of constants
	parameter     RAM_STYLE = "auto"
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic  go,
	input	logic  vld,
	output	logic [BITS-1:0]  dat
);
	// Words that two bits of address choose between are less as logic than as a memory
	localparam int unsigned  FEW = 4;
	localparam int unsigned  FOLD_BITS = FOLDS > 1? $clog2(FOLDS) : 1;

	logic [FOLD_BITS-1:0]  Fold = '0;
	always_ff @(posedge clk) begin
		if(rst)             Fold <= '0;
		else if(go && vld)  Fold <= Fold == FOLD_BITS'(FOLDS-1)? '0 : Fold + 1'b1;
	end

	if(FOLDS > FEW) begin : genMemory
		// A write port that is never used, for open synthesis makes logic of a memory that can't
		// be written, of several times the LUTs; it would see through a plain 0.
		(* ram_style = RAM_STYLE *)
		logic [BITS-1:0]  Constants[FOLDS];
		initial  $readmemh(CONSTANTS, Constants);
		logic [BITS-1:0]  Dat;
		logic  Write = 0;
		always_ff @(posedge clk) begin
			Write <= Write && rst;
			if(Write)  Constants[Fold] <= '0;
			if(go)     Dat <= Constants[Fold];
		end
		assign  dat = Dat;
	end : genMemory
	else begin : genLogic
		logic [BITS-1:0]  Constants[FOLDS];
		initial  $readmemh(CONSTANTS, Constants);
		if(FOLDS > 1) begin : genSeveral
			logic [BITS-1:0]  Dat;
			always_ff @(posedge clk)  if(go)  Dat <= Constants[Fold];
			assign  dat = Dat;
		end : genSeveral
		else begin : genOne
			assign  dat = Constants[0];
		end : genOne
	end : genLogic

endmodule : channel_constants
