// Numbers side by side, each as a two's complement or unsigned number of OUT_BITS bits; where one
// doesn't fit, its remainder modulo 2**OUT_BITS.
module extended_numbers #(
	int unsigned  N,        // numbers
	int unsigned  IN_BITS,  // width of a number
	bit           SIGNED,   // whether numbers are two's complement
	bit           BIPOLAR,  // whether numbers are one bit, 0 for -1 and 1 for +1
	int unsigned  OUT_BITS
)(
	input	logic [N*IN_BITS-1:0]  raw,
	output	logic [N*OUT_BITS-1:0]  value
);
	for(genvar  i = 0; i < N; i++) begin : genNumber
		wire [IN_BITS-1:0]  number = raw[i*IN_BITS +: IN_BITS];
		assign  value[i*OUT_BITS +: OUT_BITS] =
			BIPOLAR? (number[0]? OUT_BITS'(1) : '1) :
			SIGNED?  OUT_BITS'(signed'(number)) : OUT_BITS'(number);
	end : genNumber

	// Parameters that fit together
	initial  assert(!BIPOLAR || (IN_BITS == 1)) else $error("%m: bipolar numbers of %0d bits.", IN_BITS);
endmodule : extended_numbers
