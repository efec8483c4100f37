"""Whether the exported files compute what the trained network computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from hwflow.compress.quantize.values import plain
from hwflow.errors import RequestError
from hwflow.exchange.batches import batched, fits_batches
from hwflow.exchange.comparison import UNDECIDED, judged, of_logits, relative
from hwflow.exchange.export import Exported
from hwflow.exchange.importing import normalised
from hwflow.exchange.margins import software_margins
from hwflow.exchange.reference import Reference, Trace
from hwflow.exchange.runs import affordable, reference_run, run_qcdq, run_qonnx
from hwflow.exchange.translation.graph import inverse

REFERENCE = "the float64 reference"


@dataclass(frozen=True)
class Agreement:
    """Greatest differences of logits from the trained network's, over `samples` samples; None
    where there is no such file, or the reference does not know an operation.

    `undecided` samples lie so near to a rounding step that float32 runs differ; they are left out.
    """

    samples: int
    undecided: int
    qonnx_max_abs: float | None
    qcdq_max_abs: float | None
    reference_max_abs: float | None


def check_agreement(model: nn.Module, exported: Exported, inputs: NDArray[np.float32]) -> Agreement:
    """Compare the Brevitas network with its exports, each run by its own tool.

    Compared are QONNX (run by qonnx), QCDQ (by onnxruntime) and the float64 reference that
    hardware is compared with; that is left out where it does not know an operation, which the host
    may yet run. Networks whose files take one sample at a time, such as unrolled
    recurrent ones, are compared on a few samples.

    Args:
        model: the trained network.
        exported: its files.
        inputs: samples (N, *shape).

    Raises:
        HwflowError: a class differs, or a logit by more than `comparison.relative` allows.
    """
    files = [onnx.load(str(file)) for file in (exported.qonnx, exported.qcdq) if file is not None]
    batches = all(fits_batches(file) for file in files)
    inputs = inputs if batches else inputs[: affordable(files)]
    with torch.inference_mode():
        wanted = plain(model.eval()(torch.from_numpy(inputs))).numpy()
    results: dict[str, NDArray[Any]] = {}
    trace = None if exported.qonnx is None else _reference(exported.qonnx, inputs)
    if trace is not None:
        margin, results[REFERENCE] = trace.margin, trace.logits
    else:
        margin = software_margins(model, torch.from_numpy(inputs))
    if exported.qonnx is not None:
        results["QONNX"] = _run(run_qonnx, exported.qonnx, inputs, batches)
    if exported.qcdq is not None:
        results["QCDQ"] = _run(run_qcdq, exported.qcdq, inputs, batches)
    comparison = judged(
        {what: of_logits(wanted, got, relative(wanted)) for what, got in results.items()},
        "the trained network",
        margin < UNDECIDED,
        "this is a defect of the export; please report it with the recipe",
    )
    return Agreement(
        samples=comparison.samples,
        undecided=comparison.undecided,
        qonnx_max_abs=comparison.max_abs.get("QONNX"),
        qcdq_max_abs=comparison.max_abs.get("QCDQ"),
        reference_max_abs=comparison.max_abs.get(REFERENCE),
    )


def _reference(path: Path, inputs: NDArray[np.float32]) -> Trace | None:
    """A run of the float64 reference on what hardware would be made of; None where there is none,
    or where the network ends with more than its logits."""
    model = onnx.load(str(path))
    if not Reference.knows(model):
        return None
    try:
        normal = normalised(model)
    except RequestError:  # Hardware does not take it; lowering says so.
        return None
    if normal.head is not None or normal.top_k is not None:
        return None
    return reference_run(normal.model, np.transpose(inputs, inverse(normal.axes)))


def _run(
    execute: Callable[..., NDArray[np.float32]],
    path: Path,
    inputs: NDArray[np.float32],
    batches: bool,
) -> NDArray[np.float32]:
    model = onnx.load(str(path))
    if batches:
        return execute(batched(model, len(inputs)), [inputs])
    return execute(model, [inputs[i : i + 1] for i in range(len(inputs))])
