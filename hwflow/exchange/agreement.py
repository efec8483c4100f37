"""Whether the exported files compute what the trained network computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from hwflow.compress.quantize.values import plain
from hwflow.errors import HwflowError
from hwflow.exchange.activations import Activations
from hwflow.exchange.batches import batched, fits_batches
from hwflow.exchange.export import Exported
from hwflow.exchange.margins import software_margins
from hwflow.exchange.reference import ROUNDING, Reference, Trace, rounding_margin
from hwflow.exchange.values import Quantized, quantizer_range

# Logits may differ by this much.
TOLERANCE = 1e-4
# A sample with an activation this near to a rounding step (in steps) may come out on either side
# in float32, and its logits with it: such samples count as undecided where they differ.
UNDECIDED = 1e-4
# Samples that a file is compared on that takes them one at a time only: at most so many, and fewer
# where that means evaluating more nodes than this.
SINGLE_SAMPLES = 16
NODE_EVALUATIONS = 20_000
# Nodes of an unrolled layer from which on qonnx's execution, a session for each, takes minutes.
LONG = 100


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
        HwflowError: a class differs, or a logit by more than `TOLERANCE`.
    """
    files = [onnx.load(str(file)) for file in (exported.qonnx, exported.qcdq) if file is not None]
    batches = all(fits_batches(file) for file in files)
    inputs = inputs if batches else inputs[: affordable(files)]
    with torch.inference_mode():
        wanted = plain(model.eval()(torch.from_numpy(inputs))).numpy()
    results: dict[str, NDArray[Any]] = {}
    trace = None if exported.qonnx is None else reference_run(onnx.load(exported.qonnx), inputs)
    if trace is not None:
        margin, results["the float64 reference"] = trace.margin, trace.logits
    else:
        margin = software_margins(model, torch.from_numpy(inputs))
    if exported.qonnx is not None:
        results["QONNX"] = _run(run_qonnx, exported.qonnx, inputs, batches)
    if exported.qcdq is not None:
        results["QCDQ"] = _run(run_qcdq, exported.qcdq, inputs, batches)
    differing = np.any([differs(wanted, got) for got in results.values()], axis=0)
    undecided = differing & (margin < UNDECIDED)
    for what, got in results.items():
        _compare(what, wanted, got, ~undecided)
    greatest = {
        what: float(np.abs(wanted - got)[~undecided].max(initial=0.0))
        for what, got in results.items()
    }
    return Agreement(
        samples=len(inputs),
        undecided=int(undecided.sum()),
        qonnx_max_abs=greatest.get("QONNX"),
        qcdq_max_abs=greatest.get("QCDQ"),
        reference_max_abs=greatest.get("the float64 reference"),
    )


def affordable(files: list[onnx.ModelProto]) -> int:
    """Samples to compare files on that take one at a time."""
    nodes = max(len(file.graph.node) for file in files)
    return min(SINGLE_SAMPLES, max(2, NODE_EVALUATIONS // nodes))


def reference_run(model: onnx.ModelProto, inputs: NDArray[np.floating]) -> Trace | None:
    """A run of the float64 reference; None where that does not know all that a network does."""
    if not Reference.knows(model):
        return None
    try:
        return Reference(model).run(inputs)
    except HwflowError:  # An operation in a form that is not known; lowering names it.
        return None


def differs(
    wanted: NDArray[np.floating],
    got: NDArray[np.floating],
    tolerance: float | NDArray[np.floating] = TOLERANCE,
) -> NDArray[np.bool_]:
    """(N,) whether a logit differs by more than the tolerance, or the class does (but for ties)."""
    rows = np.arange(len(wanted))
    behind = wanted.max(axis=1) - wanted[rows, got.argmax(axis=1)]
    return (np.abs(wanted - got).max(axis=1) > tolerance) | (behind > tolerance)


def _compare(
    what: str,
    wanted: NDArray[np.floating],
    got: NDArray[np.floating],
    decided: NDArray[np.bool_],
) -> None:
    wrong = np.flatnonzero(differs(wanted, got) & decided)
    if len(wrong):
        sample = int(wrong[0])
        raise HwflowError(
            f"{what} and the trained network differ in {len(wrong)} of {len(wanted)} samples: in"
            f" sample {sample}, classes {got[sample].argmax()} and {wanted[sample].argmax()},"
            f" logits up to {np.abs(wanted - got)[sample].max():.3g} apart",
            hint="this is a defect of the export; please report it with the recipe",
        )


def _run(
    execute: Any, path: Path, inputs: NDArray[np.float32], batches: bool
) -> NDArray[np.float32]:
    model = onnx.load(str(path))
    if batches:
        return execute(batched(model, len(inputs)), [inputs])
    return execute(model, [inputs[i : i + 1] for i in range(len(inputs))])


def run_qonnx(model: onnx.ModelProto, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Outputs of a QONNX file, run by qonnx, for parts of as many frames as its input takes."""
    if _is_long(model):
        from hwflow.exchange.long_graphs import run_long_graph

        return np.concatenate([run_long_graph(model, part) for part in parts])
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    wrapped = ModelWrapper(model).transform(InferShapes())
    graph = wrapped.graph
    given, made = graph.input[0].name, graph.output[0].name
    return np.concatenate([execute_onnx(wrapped, {given: part})[made] for part in parts])


def run_traced(
    model: onnx.ModelProto, inputs: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Outputs of a QONNX file, run by qonnx, and (N,) how near any activation of a sample comes to
    a rounding step, in steps.

    Args:
        model: of one frame.
        inputs: (N, *shape); where the file takes one frame only, the first few are run.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    single = not fits_batches(model)
    size = 1 if single else len(inputs)
    own = onnx.ModelProto()
    own.CopyFrom(model)
    wrapped = ModelWrapper(own if single else batched(own, size)).transform(InferShapes())
    given, made = wrapped.graph.input[0].name, wrapped.graph.output[0].name
    quantizers = [n for n in Activations(wrapped.model).nodes if n.op_type in ROUNDING]
    outputs, margins = [], []
    for part in inputs[: affordable([model])] if single else [inputs]:
        found = execute_onnx(wrapped, {given: part.reshape(size, *inputs.shape[1:])}, True)
        outputs.append(found[made].reshape(size, -1))
        margins.append(
            np.min([np.full(size, np.inf), *(_step_margin(n, found) for n in quantizers)], axis=0)
        )
    return np.concatenate(outputs), np.concatenate(margins)


def _step_margin(node: onnx.NodeProto, found: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """(N,) of one quantizer, from the values of all tensors."""
    x, scale = (found[name].astype(np.float64) for name in node.input[:2])
    if node.op_type == "BipolarQuant":
        return rounding_margin(x, Quantized(x, scale, -1, 1, bipolar=True))
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
    ends = quantizer_range(int(found[node.input[3]].item()), signed, narrow)
    return rounding_margin(x, Quantized(x, scale, *ends))


def _is_long(model: onnx.ModelProto) -> bool:
    """Whether a file is better run as a whole: many nodes, none of which needs a fast kernel."""
    operations = {node.op_type for node in model.graph.node}
    return len(model.graph.node) > LONG and not operations & {"Conv", "ConvTranspose", "FloatQuant"}


def run_qcdq(model: onnx.ModelProto, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Outputs of a QCDQ file, run by onnxruntime, for parts of as many frames as it takes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # What the file says, not what onnxruntime makes of it: it would quantize float biases.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {given: part})[0] for part in parts])
