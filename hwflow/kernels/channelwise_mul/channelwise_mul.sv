// Multiplies each channel by a constant of its own.
//
// - Pixels of FOLDS transfers, PE numbers each, element 0 in the least significant bits; as many
//   go out as come in. A product is OUT_BITS wide and must fit.
// - Rate: one transfer a cycle. Latency: 2 cycles.
// - Valid never waits for ready; output data holds while valid and not ready.
// - CONSTANTS is a $readmemh file of FOLDS words; bits [p*CONST_BITS +: CONST_BITS] of word f are
//   the constant of channel f*PE + p, two's complement. FOLDS may be 1 for any number of
//   transfers: then they all share the word.
// - DSP = 1 writes the product as one, for a DSP block; DSP = 0 as the sum of shifted copies of the
//   wider factor, one for each bit of the other, which no tool takes for a DSP block's work.
module channelwise_mul #(
	int unsigned  FOLDS,       // transfers of a pixel
	int unsigned  PE,          // channels a transfer
	int unsigned  IN_BITS,     // width of a number that comes in
	bit           SIGNED,      // whether numbers are two's complement
	bit           BIPOLAR,     // whether numbers are one bit, 0 for -1 and 1 for +1
	int unsigned  CONST_BITS,  // width of a constant, at least 2
	int unsigned  OUT_BITS,    // width of a product
	bit           DSP,         // DSP block, else LUTs
	parameter     CONSTANTS,   // file of constants
	parameter     RAM_STYLE = "auto"
)(
	input	logic  clk,
	input	logic  rst,  // synchronous, active high

	input	logic [PE*IN_BITS-1:0]  idat,
	input	logic  ivld,
	output	logic  irdy,

	output	logic [PE*OUT_BITS-1:0]  odat,
	output	logic  ovld,
	input	logic  ordy
);
	localparam int unsigned  X_BITS = IN_BITS + (SIGNED? 0 : 1);  // as a signed number
	localparam int unsigned  P_BITS = X_BITS + CONST_BITS;

	// Everything stands still while the output is held
	logic  Vld1 = 0;
	wire   go;
	output_valid valid (.clk, .rst, .vld(Vld1), .go, .ovld, .ordy);
	assign  irdy = go;

	//- Stage #1: operands ---------------------------------------------------
	always_ff @(posedge clk) begin
		if(rst)      Vld1 <= 0;
		else if(go)  Vld1 <= ivld;
	end
	logic [PE*IN_BITS-1:0]  X1;
	always_ff @(posedge clk)  if(go)  X1 <= idat;

	wire [PE*CONST_BITS-1:0]  c1;
	channel_constants #(
		.FOLDS(FOLDS), .BITS(PE*CONST_BITS), .CONSTANTS(CONSTANTS), .RAM_STYLE(RAM_STYLE)
	) constants (
		.clk, .rst, .go, .vld(ivld), .dat(c1)
	);

	//- Stage #2: products -------------------------------------------------------
	wire [PE*X_BITS-1:0]  values;
	extended_numbers #(
		.N(PE), .IN_BITS(IN_BITS), .SIGNED(SIGNED), .BIPOLAR(BIPOLAR), .OUT_BITS(X_BITS)
	) extension (
		.raw(X1), .value(values)
	);
	for(genvar  pe = 0; pe < PE; pe++) begin : genPE
		wire signed [CONST_BITS-1:0]  constant = c1[pe*CONST_BITS +: CONST_BITS];
		wire signed [X_BITS-1:0]  value = values[pe*X_BITS +: X_BITS];

		logic [OUT_BITS-1:0]  Out;
		assign  odat[pe*OUT_BITS +: OUT_BITS] = Out;
		if(DSP) begin : genDsp
			(* use_dsp = "yes" *)
			wire signed [P_BITS-1:0]  product = value * constant;
			always_ff @(posedge clk)  if(go)  Out <= OUT_BITS'(product);
		end : genDsp
		else begin : genLut
			localparam int unsigned  WIDE  = X_BITS < CONST_BITS? CONST_BITS : X_BITS;
			localparam int unsigned  NARROW = X_BITS < CONST_BITS? X_BITS : CONST_BITS;
			logic signed [WIDE-1:0]   wide;
			logic signed [NARROW-1:0]  narrow;
			if(X_BITS < CONST_BITS) begin : genSwapped
				assign  wide  = constant;
				assign  narrow = value;
			end : genSwapped
			else begin : genStraight
				assign  wide  = value;
				assign  narrow = constant;
			end : genStraight

			// Bit by bit of the shorter factor; each step settles one more bit of the product
			logic signed [WIDE:0]  part;
			logic signed [P_BITS-1:0]  product;
			always_comb begin
				part = '0;
				product = '0;
				for(int unsigned  i = 0; i < NARROW; i++) begin
					automatic logic signed [WIDE:0]  term = narrow[i]? (WIDE+1)'(wide) : '0;
					part = part >>> 1;
					part = i == NARROW-1? part - term : part + term;
					product[i] = part[0];
				end
				product[P_BITS-1:NARROW-1] = part;
			end
			always_ff @(posedge clk)  if(go)  Out <= OUT_BITS'(product);
		end : genLut
	end : genPE

	// Parameters that fit together
	initial begin
		assert(!BIPOLAR || (!SIGNED && (IN_BITS == 1))) else $error("%m: bipolar numbers are one bit, unsigned.");
		assert(CONST_BITS > 1) else $error("%m: constants are signed.");
	end

endmodule : channelwise_mul
