"""Whether a network that the host has a part in computes what it computed before it was divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from hwflow.data import Dataset, Split
from hwflow.exchange.comparison import UNDECIDED, judged, of_logits, put_out, relative
from hwflow.exchange.runs import run_traced
from hwflow.host.software import Software


def check_division(
    whole: onnx.ModelProto,
    software: Software,
    data: Dataset,
    split: Split,
    head: str | None = None,
) -> dict[str, Any]:
    """Hold the divided network against the whole one, which qonnx runs.

    Logits may differ by `comparison.TOLERANCE` times the greatest of the sample, or 1.

    Args:
        whole: QONNX, of one frame.
        software: head, accelerator and tail, of it.
        data: the data set.
        split: samples of it.
        head: what the whole network does behind its logits and the divided one does not, Softmax
            or LogSoftmax; None: nothing.

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
    got = put_out(got, head)
    network = "the network divided between host and accelerator"
    comparison = judged(
        {network: of_logits(wanted, got, relative(wanted))},
        "the whole one",
        margin < UNDECIDED,
        "this is a defect of the division; please report it with the recipe",
    )
    return {
        "samples": comparison.samples,
        "undecided": comparison.undecided,
        "max_abs": comparison.max_abs[network],
    }
