"""The bench of kernels finds what is broken: a layer is given a fault, and must not pass."""

import pytest

from hwflow.kernels import kernel_op
from hwflow.recipe import Stall
from tests.support.bench import Bench
from tests.support.layers import label_select

DEAF = {".ivld(in0_V_TVALID)": ".ivld(1'b0)"}
WRONG = {"out0_V_TDATA = ": "out0_V_TDATA = ~"}
FLICKERING = {
    ".ovld(out0_V_TVALID)": ".ovld(valid)",
    "endmodule": "wire valid; reg on = 0; always @(posedge ap_clk) on <= !on;"
    " assign out0_V_TVALID = valid && on; endmodule",
}
# The same where no assertion of the RTL looks.
UNWATCHED = {**FLICKERING, ".vld(out0_V_TVALID)": ".vld(1'b0)"}
SLOW = {
    ".ivld(in0_V_TVALID), .irdy(in0_V_TREADY)": ".ivld(in0_V_TVALID && on), .irdy(ready)",
    "endmodule": "wire ready; reg on = 0; always @(posedge ap_clk) on <= !on;"
    " assign in0_V_TREADY = ready && on; endmodule",
}
# Valid waits for ready, which waits for valid.
SHY = {
    ".ovld(out0_V_TVALID)": ".ovld(valid)",
    "endmodule": "wire valid; assign out0_V_TVALID = valid && out0_V_TREADY; endmodule",
}


@pytest.mark.parametrize(
    ("fault", "stall", "message"),
    [
        (DEAF, Stall(), "DEADLOCK layer0"),
        (WRONG, Stall(), "out0 differs"),
        (FLICKERING, Stall(sink=50), "rule0: output withdrawn"),
        (UNWATCHED, Stall(sink=50), "WITHDRAWN layer0_out0"),
        (SLOW, Stall(), "LabelSelect_rtl.*4.0 cycles a frame, not 2"),
        (SHY, Stall(sink=80), "DEADLOCK layer0"),
    ],
)
def test_a_fault_is_found(finn, models, tmp_path, monkeypatch, fault, stall, message):
    wrapper = kernel_op.kernel_wrapper

    def faulty(*args, **options):
        text = wrapper(*args, **options)
        for old, new in fault.items():
            assert old in text
            text = text.replace(old, new)
        return text

    monkeypatch.setattr(kernel_op, "kernel_wrapper", faulty)
    bench = Bench([label_select(4, 2, "INT4", False, None)], tmp_path, models)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        bench.check(stalls=[stall])
