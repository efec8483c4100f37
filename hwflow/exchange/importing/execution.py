"""The imported file's own execution: what the accelerator is held against."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwflow.errors import HwflowError
from hwflow.exchange.batches import batched, fits_batches
from hwflow.exchange.comparison import UNDECIDED, judged, of_classes, of_logits, put_out, relative
from hwflow.exchange.importing.normal import Normal
from hwflow.exchange.importing.reading import element_type, set_batch
from hwflow.exchange.reference import Trace
from hwflow.exchange.runs import affordable, reference_run, run, run_traced, tool_of

Float = NDArray[np.floating]
# What float32 makes of a logit may be off by this share of the greatest.
SINGLE = 2.0**-20
# Where a logit is this far below the greatest, its probability is less than float32's least.
VANISHING = 87.0


@dataclass(frozen=True)
class Comparison:
    """The normal form against the file's own execution.

    Attributes:
        tool: that ran the file.
        samples: how many were compared.
        undecided: of them, how many lie so near to a rounding step, or have logits so near to each
            other where the file puts out classes, that float32 runs differ.
        max_abs: greatest difference of an output, undecided samples left out; for a file that
            gives classes, 0.
    """

    tool: str
    samples: int
    undecided: int
    max_abs: float


def run_file(
    model: onnx.ModelProto, path: Path, inputs: NDArray[Any], batch: int | None
) -> NDArray[Any]:
    """The outputs of a file, (N, ...), or of as many samples as can be run in a few seconds.

    Args:
        model: the file, as read.
        path: of it, for messages.
        inputs: (N, *sample), as the file has them.
        batch: frames at a time; None: all where the file treats each by itself, else one.

    Raises:
        HwflowError: the file can't be executed.
    """
    prepared = copy.deepcopy(model)
    inputs = inputs.astype(element_type(prepared))
    sample = inputs.shape[1:]
    if batch is None and fits_batches(prepared):
        set_batch(prepared, len(inputs), sample)
        prepared, size = batched(prepared, len(inputs)), len(inputs)
    else:
        size = batch or 1
        inputs = inputs[: affordable([prepared]) * size]
        set_batch(prepared, size, sample)
    count = len(inputs)
    if count % size:  # The last part is filled up with its last frame.
        inputs = np.concatenate([inputs, np.repeat(inputs[-1:], size - count % size, axis=0)])
    parts = [inputs[i : i + size] for i in range(0, len(inputs), size)]
    try:
        return run(prepared, parts)[:count]
    except Exception as error:  # Whatever the tools raise of a file that they can't run.
        text = " ".join(str(error).split())[:300]
        raise HwflowError(
            f"{path}: {tool_of(prepared)} can't execute the file on {size} frames at a time:"
            f" {type(error).__name__}: {text}",
            hint="set model.batch to the batch size that it was exported with, or export it again",
        ) from error


def compare(
    model: onnx.ModelProto, path: Path, normal: Normal, inputs: NDArray[Any], batch: int | None
) -> Comparison:
    """Hold the normal form, run by the float64 reference, or, where that does not know all of it,
    by qonnx, against the file's own execution.

    Outputs may differ by `comparison.TOLERANCE` times the greatest of the sample, or 1.

    Args:
        model: the file, as read.
        path: of it, for messages.
        normal: its normal form.
        inputs: real values of the normal form's input, (N, *shape).
        batch: see `run_file`.

    Raises:
        HwflowError: they differ, or the file can't be executed.
    """
    own = run_file(model, path, np.transpose(inputs, normal.axes), batch)
    count = len(own)
    trace = reference_run(normal.model, inputs[:count])
    if trace is None:  # The host runs a part of it.
        logits, margin = run_traced(normal.model, inputs[:count])
        count = len(logits)
        trace = Trace(logits.astype(np.float64), margin)
    wanted = own[:count].reshape(count, -1).astype(np.float64)
    near = trace.margin < UNDECIDED
    if normal.top_k is None:
        got = put_out(trace.logits, normal.head)
        difference = of_logits(wanted, got, relative(wanted))
    else:
        ranked, classes = wanted.astype(np.int64), trace.classes(normal.top_k)
        difference = of_classes(ranked, classes)
        near |= _indistinct(trace.logits, ranked, classes, normal.head)
    network, tool = f"{path}: the imported network", tool_of(model)
    comparison = judged(
        {network: difference},
        f"the file's own execution ({tool})",
        near,
        "this is a defect of the import; please report it with the file",
    )
    return Comparison(tool, count, comparison.undecided, comparison.max_abs[network])


def _indistinct(
    logits: Float, wanted: NDArray[np.int64], got: NDArray[np.int64], head: str | None
) -> NDArray[np.bool_]:
    """(N,) whether wherever two rankings (N, k) differ, float32 can't tell the two logits apart:
    they are as good as equal, or a Softmax makes 0 of both."""
    first, second = (np.take_along_axis(logits, order, axis=1) for order in (wanted, got))
    same = np.abs(first - second) <= SINGLE * np.abs(logits).max(axis=1, keepdims=True)
    if head == "Softmax":
        below = logits.max(axis=1, keepdims=True) - np.maximum(first, second)
        same |= below > VANISHING
    alike: NDArray[np.bool_] = np.all((wanted == got) | same, axis=1)
    return alike
