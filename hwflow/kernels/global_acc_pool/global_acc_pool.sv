// Global sum pooling: the sum over all pixels of a frame, channel by channel.
//
// - For every PIXELS*FOLDS input transfers FOLDS output transfers go out, in order: FOLDS
//   transfers of PE channels are a pixel. Element 0 of a transfer lies in its least significant
//   bits. Sums are ACC_BITS wide and must fit.
// - Rate: one input transfer a cycle while the output is taken, PIXELS*FOLDS cycles a frame: sums
//   go out while the last pixel comes in. Latency: 1 cycle from there. Until the last pixel the
//   output is not needed.
// - Valid never waits for ready; output data holds while valid and not ready.
// - Partial sums lie in a memory of FOLDS words that is read a fold ahead, so that it may be
//   block RAM; for FOLDS = 1 in a register.
module global_acc_pool #(
	int unsigned  PIXELS,    // pixels of a frame
	int unsigned  FOLDS,     // transfers of a pixel
	int unsigned  PE,        // channels a transfer
	int unsigned  IN_BITS,   // width of a number
	bit           SIGNED,    // whether numbers are two's complement
	bit           BIPOLAR,   // whether numbers are one bit, 0 for -1 and 1 for +1
	int unsigned  ACC_BITS,  // width of a sum
	parameter     RAM_STYLE = "auto"
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [PE*IN_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [PE*ACC_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	localparam int unsigned  PIXEL_BITS = PIXELS > 1? $clog2(PIXELS) : 1;
	localparam int unsigned  FOLD_BITS  = FOLDS > 1? $clog2(FOLDS) : 1;
	typedef logic [PE*ACC_BITS-1:0]  sums_t;

	// Position in the frame
	logic [PIXEL_BITS-1:0]  Pixel = '0;
	logic [FOLD_BITS-1:0]   Fold  = '0;
	wire  first = Pixel == 0;
	wire  last  = Pixel == PIXEL_BITS'(PIXELS-1);
	wire  fold_last = Fold == FOLD_BITS'(FOLDS-1);
	wire [FOLD_BITS-1:0]  fold_next = fold_last? '0 : Fold + 1'b1;

	// Only the last pixel needs the output register
	wire  go;
	assign  irdy = !last || go;
	wire  step = ivld && irdy;
	always_ff @(posedge clk) begin
		if(rst) begin
			Pixel <= '0;
			Fold  <= '0;
		end
		else if(step) begin
			Fold <= fold_next;
			if(fold_last)  Pixel <= last? '0 : Pixel + 1'b1;
		end
	end
	output_valid valid (.clk, .rst, .vld(step && last), .go, .ovld, .ordy);

	// Partial sums; whatever is there at a frame's first pixel is left out
	sums_t  Acc, Out, sums, values;
	extended_numbers #(
		.N(PE), .IN_BITS(IN_BITS), .SIGNED(SIGNED), .BIPOLAR(BIPOLAR), .OUT_BITS(ACC_BITS)
	) extension (
		.raw(idat), .value(values)
	);
	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire [ACC_BITS-1:0]  earlier = first? '0 : Acc[pe*ACC_BITS +: ACC_BITS];
		assign  sums[pe*ACC_BITS +: ACC_BITS] = earlier + values[pe*ACC_BITS +: ACC_BITS];
	end : genPE
	always_ff @(posedge clk)  if(step && last)  Out <= sums;
	assign  odat = Out;

	if(FOLDS > 1) begin : genMemory
		(* ram_style = RAM_STYLE *)
		sums_t  Sums[FOLDS];
		always_ff @(posedge clk) begin
			if(step) begin
				Sums[Fold] <= sums;
				Acc <= Sums[fold_next];
			end
		end
	end : genMemory
	else begin : genRegister
		always_ff @(posedge clk)  if(step)  Acc <= sums;
	end : genRegister

endmodule : global_acc_pool
