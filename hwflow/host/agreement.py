"""Whether a network that the host has a part in computes what it computed before it was divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from hwflow.data import Dataset, Split
from hwflow.errors import HwflowError
from hwflow.exchange.agreement import TOLERANCE, UNDECIDED, differs, run_traced
from hwflow.host.software import Software


def check_division(
    whole: onnx.ModelProto, software: Software, data: Dataset, split: Split
) -> dict[str, Any]:
    """Hold the divided network against the whole one, which qonnx runs.

    Logits may differ by `agreement.TOLERANCE` times the greatest of the sample, or 1.

    Args:
        whole: QONNX, of one frame.
        software: head, accelerator and tail, of it.
        data: the data set.
        split: samples of it.

    Returns:
        JSON: samples compared, how many of them lie too near to a rounding step to be decided by
        float32, and the greatest difference of a logit of the others.

    Raises:
        HwflowError: they differ.
    """
    wanted, margin = run_traced(whole, data.floats(split))
    split = split.part(0, len(wanted))
    codes = software.codes(data, split)
    got = software.run(data, split, np.zeros(0, np.int64) if codes is None else codes).logits
    bound = TOLERANCE * np.maximum(1.0, np.abs(wanted).max(axis=1))
    wrong = differs(wanted, got, bound)
    undecided = wrong & (margin < UNDECIDED)
    bad = np.flatnonzero(wrong & ~undecided)
    if len(bad):
        sample = int(bad[0])
        raise HwflowError(
            f"the network divided between host and accelerator and the whole one differ in"
            f" {len(bad)} of {len(wanted)} samples: in sample {sample}, logits up to"
            f" {np.abs(wanted - got)[sample].max():.3g} apart",
            hint="this is a defect of the division; please report it with the recipe",
        )
    apart = np.abs(wanted - got).max(axis=1)[~undecided]
    return {
        "samples": len(wanted),
        "undecided": int(undecided.sum()),
        "max_abs": float(apart.max(initial=0.0)),
    }
