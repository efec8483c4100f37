// Nearest-neighbour upsampling by whole factors: every pixel SCALE_W times in its row, every row
// SCALE_H times.
//
// - A frame of any number of rows, WIDTH pixels each, FOLDS transfers of BITS bits a pixel. For a
//   row of WIDTH*FOLDS input transfers SCALE_H*SCALE_W*WIDTH*FOLDS output transfers go out.
// - Rate: one output transfer a cycle when input is there and output is taken. Input is taken
//   while the first copy of each pixel goes out; the other copies come from a line buffer, which
//   holds a row, or a pixel where rows are not repeated. Latency: 1 cycle.
// - Valid never waits for ready; output data holds while valid and not ready.
// - The buffer is never written and read in the same cycle: any kind of memory will do.
module upsample #(
	int unsigned  WIDTH,    // pixels of an input row
	int unsigned  FOLDS,    // transfers of a pixel
	int unsigned  SCALE_H,  // copies of a row
	int unsigned  SCALE_W,  // copies of a pixel in a row
	int unsigned  BITS,     // width of a transfer
	parameter     RAM_STYLE = "auto"
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	localparam int unsigned  F_BITS = FOLDS > 1? $clog2(FOLDS) : 1;
	localparam int unsigned  W_BITS = WIDTH > 1? $clog2(WIDTH) : 1;
	localparam int unsigned  CW_BITS = SCALE_W > 1? $clog2(SCALE_W) : 1;
	localparam int unsigned  CH_BITS = SCALE_H > 1? $clog2(SCALE_H) : 1;

	// Everything stands still while the output is held
	wire  go;

	//- Sequence: folds, copies of the pixel, pixels of the row, copies of the row ---
	logic [F_BITS-1:0]   Fold  = '0;
	logic [CW_BITS-1:0]  CopyW = '0;
	logic [W_BITS-1:0]   Pixel = '0;
	logic [CH_BITS-1:0]  CopyH = '0;
	wire  fold_last   = Fold  == F_BITS'(FOLDS-1);
	wire  copy_w_last = CopyW == CW_BITS'(SCALE_W-1);
	wire  pixel_last  = Pixel == W_BITS'(WIDTH-1);
	wire  copy_h_last = CopyH == CH_BITS'(SCALE_H-1);
	wire  fresh = (CopyW == 0) && (CopyH == 0);  // from the stream, else from the buffer
	wire  step = go && (ivld || !fresh);
	assign  irdy = go && fresh;
	always_ff @(posedge clk) begin
		if(rst) begin
			Fold  <= '0;
			CopyW <= '0;
			Pixel <= '0;
			CopyH <= '0;
		end
		else if(step) begin
			Fold <= fold_last? '0 : Fold + 1'b1;
			if(fold_last) begin
				CopyW <= copy_w_last? '0 : CopyW + 1'b1;
				if(copy_w_last) begin
					Pixel <= pixel_last? '0 : Pixel + 1'b1;
					if(pixel_last)  CopyH <= copy_h_last? '0 : CopyH + 1'b1;
				end
			end
		end
	end
	output_valid valid (.clk, .rst, .vld(step), .go, .ovld, .ordy);

	//- Data -------------------------------------------------------------------
	logic [BITS-1:0]  Taken;
	if((SCALE_H > 1) || (SCALE_W > 1)) begin : genBuffer
		localparam int unsigned  DEPTH = SCALE_H > 1? WIDTH*FOLDS : FOLDS;
		localparam int unsigned  A_BITS = DEPTH > 1? $clog2(DEPTH) : 1;

		// A copy of a pixel starts where the last one did
		logic [A_BITS-1:0]  Addr = '0;
		wire  wrap = fold_last && copy_w_last && ((SCALE_H == 1) || pixel_last);
		wire  back = fold_last && !copy_w_last;
		always_ff @(posedge clk) begin
			if(rst)        Addr <= '0;
			else if(step)  Addr <= wrap? '0 : back? Addr - A_BITS'(FOLDS-1) : Addr + 1'b1;
		end

		(* ram_style = RAM_STYLE *)
		logic [BITS-1:0]  Buffer[DEPTH];
		logic [BITS-1:0]  Kept;
		logic  Fresh;
		always_ff @(posedge clk) begin
			if(step && fresh)  Buffer[Addr] <= idat;
			if(go && !fresh)   Kept <= Buffer[Addr];
			if(go) begin
				Fresh <= fresh;
				Taken <= idat;
			end
		end
		assign  odat = Fresh? Taken : Kept;
	end : genBuffer
	else begin : genDirect
		always_ff @(posedge clk)  if(go)  Taken <= idat;
		assign  odat = Taken;
	end : genDirect

endmodule : upsample
