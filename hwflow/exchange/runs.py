"""Runs of QONNX and QCDQ files by other tools: qonnx, onnxruntime and ONNX's reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwflow.errors import HwflowError
from hwflow.exchange.activations import Activations
from hwflow.exchange.batches import batched, fits_batches
from hwflow.exchange.domains import QONNX, domain_of
from hwflow.exchange.operations import Operation, operation_of
from hwflow.exchange.reference import Reference, Trace, rounding_margin
from hwflow.exchange.translation.nodes import Node, read_node
from hwflow.exchange.values import Quantized, real

# Samples that a file is compared on that takes them one at a time only: at most so many, and fewer
# where that means evaluating more nodes than this.
SINGLE_SAMPLES = 16
NODE_EVALUATIONS = 20_000
# Nodes of an unrolled layer from which on qonnx's execution, a session for each, takes minutes.
LONG = 100


def tool_of(model: onnx.ModelProto) -> str:
    """What runs a file: onnxruntime where all operations are ONNX's own, qonnx where others are
    QONNX's, else ONNX's reference."""
    others = {domain_of(node) for node in model.graph.node} - {""}
    if not others:
        return "onnxruntime"
    return "qonnx" if others == {QONNX} else "ONNX's reference"


def run(model: onnx.ModelProto, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Outputs of a file, by the tool that runs it, for parts of as many frames as it takes."""
    by_tool = {"onnxruntime": run_qcdq, "qonnx": run_qonnx, "ONNX's reference": run_reference}
    return by_tool[tool_of(model)](model, parts)


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
    input_name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {input_name: part})[0] for part in parts])


def run_qonnx(model: onnx.ModelProto, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Outputs of a QONNX file, run by qonnx, for parts of as many frames as its input takes."""
    if _is_long(model):
        return run_reference(model, parts)
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    wrapped = ModelWrapper(model).transform(InferShapes())
    graph = wrapped.graph
    input_name, output_name = graph.input[0].name, graph.output[0].name
    return np.concatenate(
        [execute_onnx(wrapped, {input_name: part})[output_name] for part in parts]
    )


def _is_long(model: onnx.ModelProto) -> bool:
    """Whether a file is better run as a whole: many nodes, none of which needs a fast kernel."""
    if len(model.graph.node) <= LONG:
        return False
    nodes = [(domain_of(node), operation_of(node)) for node in model.graph.node]
    return all(not known.slow and (not domain or known.execute) for domain, known in nodes)


def run_reference(model: onnx.ModelProto, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Outputs of a file, run by ONNX's reference; what ONNX does not know runs as its record says.

    qonnx's own execution starts a session for each node, which takes minutes for thousands of them,
    such as unrolled recurrent layers have.
    """
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model, new_ops=_new_operations(model))
    input_name = model.graph.input[0].name
    outputs: list[list[Any]] = [list(evaluator.run(None, {input_name: part})) for part in parts]
    return np.concatenate([result[0] for result in outputs])


def _new_operations(model: onnx.ModelProto) -> list[type]:
    """What ONNX's reference does not know of a file's operations, as it takes it."""
    from onnx.reference.op_run import OpRun

    def new_operation(node: onnx.NodeProto) -> type:
        operation = operation_of(node)

        class New(OpRun):
            op_domain = node.domain

            def _run(self, *operands: Any, **attributes: Any) -> tuple[Any]:
                return (_executed(operation, list(operands), read_node(self.onnx_node)),)

        New.__name__ = node.op_type
        return New

    others = {(node.domain, node.op_type): node for node in model.graph.node if domain_of(node)}
    return [new_operation(node) for node in others.values()]


def _executed(operation: Operation, operands: list[Any], node: Node) -> NDArray[Any]:
    if operation.execute is not None:
        return operation.execute(operands, node)
    if operation.evaluate is None:
        raise HwflowError(
            f"{node.name}: nothing is known of what {node.kind} computes",
            hint="give its record `evaluate` or `execute`",
        )
    reals = [x.astype(np.float64) for x in operands if x is not None]
    return np.asarray(real(operation.evaluate(reals, node)), np.float32)


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
    input_name, output_name = wrapped.graph.input[0].name, wrapped.graph.output[0].name
    quantizers = [n for n in Activations(wrapped.model).nodes if operation_of(n).rounds]
    outputs, margins = [], []
    for part in inputs[: affordable([model])] if single else [inputs]:
        tensors = execute_onnx(wrapped, {input_name: part.reshape(size, *inputs.shape[1:])}, True)
        outputs.append(tensors[output_name].reshape(size, -1))
        margins.append(
            np.min([np.full(size, np.inf), *(_step_margin(n, tensors) for n in quantizers)], axis=0)
        )
    return np.concatenate(outputs), np.concatenate(margins)


def _step_margin(node: onnx.NodeProto, tensors: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """(N,) of one quantizer, from the values of all tensors."""
    operands = [tensors[name].astype(np.float64) for name in node.input]
    if len(operands) > 2:  # A zero point moves the codes, not the steps between them.
        operands[2] = np.zeros_like(operands[2])
    evaluated = operation_of(node).evaluate
    assert evaluated is not None, "what rounds is in the normal form"
    value = evaluated(list(operands), read_node(node))
    assert isinstance(value, Quantized)
    return rounding_margin(operands[0], value)
