"""RTL kernels of hwflow's own, for layers that FINN+ has no RTL of on 7-series parts.

Each kernel is a folder: the SystemVerilog beside the FINN custom op that parametrises it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """A kernel: its name, FINN op, rate, and what it does in a line."""

    name: str
    op: str
    cycles: str
    summary: str


KERNELS = (
    Kernel(
        "label_select",
        "LabelSelect_rtl",
        "Labels / PE",
        "index of the greatest logit, integer biases added; lowest index among equals",
    ),
    Kernel(
        "xnor_mvau",
        "XnorMVAU_rtl",
        "(MW / SIMD) * (MH / PE)",
        "linear layer of binary weights and activations, by XNOR and popcount, without DSPs",
    ),
)


def register() -> None:
    """Make the kernels' ops known to FINN+, whose settings must be set up before."""
    import hwflow.kernels.label_select
    import hwflow.kernels.lut_mvau
    import hwflow.kernels.vvau
    import hwflow.kernels.xnor_mvau
