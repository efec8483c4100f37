// What extended_numbers computes, in 32-bit arithmetic.
module extended_numbers_spec #(
	int unsigned  N,
	int unsigned  IN_BITS,
	bit           SIGNED,
	bit           BIPOLAR,
	int unsigned  OUT_BITS,
	bit           READ_SIGNED = SIGNED  // how the numbers are meant
)(
	input	logic [N*IN_BITS-1:0]  raw,
	output	logic [N*OUT_BITS-1:0]  value
);
	extended_numbers #(
		.N(N), .IN_BITS(IN_BITS), .SIGNED(SIGNED), .BIPOLAR(BIPOLAR), .OUT_BITS(OUT_BITS)
	) dut (.raw, .value);

	for(genvar  i = 0; i < N; i++) begin : genNumber
		int  code, wanted;
		always_comb begin
			code = int'(raw[i*IN_BITS +: IN_BITS]);
			wanted = BIPOLAR? 2*code - 1 :
				READ_SIGNED && (code >= 2**(IN_BITS-1))? code - 2**IN_BITS : code;
			assert(value[i*OUT_BITS +: OUT_BITS] == OUT_BITS'(wanted));
		end
	end : genNumber
endmodule : extended_numbers_spec
