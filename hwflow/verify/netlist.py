"""The synthesised netlist against the RTL, cycle by cycle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwflow.facts.verified import NetlistFacts
from hwflow.recipe.hardware import Stall
from hwflow.simulate import Simulator


def compare_netlist(
    rtl: Simulator, netlist: Simulator, codes: NDArray[np.int64], seed: int
) -> NetlistFacts:
    """The synthesised netlist against the RTL: outputs, and every stream's transfers and stalls.

    Args:
        rtl, netlist: simulators of both.
        codes: input integers (N, elements).
        seed: of the stalls (30 % in, 50 % out).
    """
    stall = Stall(source=30, sink=50)
    expected, got = (s.run(codes, stall=stall, seed=seed) for s in (rtl, netlist))
    wrong = int(np.any(expected.outputs != got.outputs, axis=1).sum())
    if not wrong and expected.streams != got.streams:
        wrong = len(codes)  # the same numbers, but not in the same cycles
    return NetlistFacts(frames=len(codes), cycles=got.total_cycles, mismatches=wrong)
