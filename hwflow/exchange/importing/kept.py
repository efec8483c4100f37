"""Operations of a file that are kept as they are, for the host to run.

The normal form knows what hardware takes. What else there is before the first quantized layer of a
file, or behind its last, goes into the new graph unchanged, on tensors that lie as the file has
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, helper

from hwflow.errors import RequestError
from hwflow.exchange.activations import Activations
from hwflow.exchange.domains import STANDARD
from hwflow.exchange.operations import operation_of
from hwflow.exchange.translation.graph import OPSET, Tensor
from hwflow.exchange.translation.nodes import Codes, Head, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized
from hwflow.graphs.bottlenecks import Place


def may_be_kept(network: Activations, node: Node) -> bool:
    """Whether an operation of a file lies before its first quantized layer or behind its last."""
    number = network.find(node.proto)
    return number is not None and network.order.place(number) in (Place.BEFORE, Place.BEHIND)


def check_kept(model: onnx.ModelProto, reasons: Mapping[str, RequestError]) -> bool:
    """Refuse what is kept where the network can't be divided between it and the quantized layers.
    Tells whether anything is kept before them.

    Args:
        model: the normal form.
        reasons: why hardware does not take what is kept, by its outputs.

    Raises:
        RequestError: the reason of the first such operation.
    """
    network = Activations(model)
    order, nodes = network.order, network.nodes
    numbers = [n for n, node in enumerate(nodes) if node.output[0] in reasons]
    quantizers = {n for n, node in enumerate(nodes) if operation_of(node).rounds} - set(numbers)
    before = {number for number in numbers if order.place(number) is Place.BEFORE}
    for number in numbers:
        begins = number in before
        border = order.begin(number, quantizers) if begins else order.end(number)
        if border is None:
            raise reasons[nodes[number].output[0]]
    return bool(before)


def keep(t: Translation, heads: Mapping[str, Node], node: Node, error: RequestError) -> Tensor:
    """An operation of the file as it is.

    Args:
        t: whose graph it goes into.
        heads: nodes that were cut off, by their outputs: one that something follows is none.
        node: the operation.
        error: why hardware does not take it, raised where the host can't either.
    """
    if any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in node.proto.attribute):
        raise error
    operands = [_operand(t, heads, node, index, error) for index in range(len(node.inputs))]
    output = t.graph.free(node.proto.output[0])
    if node.proto.domain not in STANDARD:
        if operation_of(node.proto).write is None:  # Nor does the host know it.
            raise error
        proto = _renamed(node.proto, operands, output)
        shape, element = t.graph.shapes[operands[0]], int(TensorProto.FLOAT)
        t.graph.keep([proto], output, shape, element)
    else:
        _keep_standard(t, node, operands, output, error)
    shape = t.graph.shapes[output]
    return Tensor(output, shape, tuple(range(len(shape))))


def _operand(
    t: Translation, heads: Mapping[str, Node], node: Node, index: int, error: RequestError
) -> str:
    """The new graph's tensor that holds an operand as the file has it."""
    name = node.inputs[index]
    if not name:
        return ""
    if name in t.constants:
        value = t.constants.values[name]
        if isinstance(value, Quantized):
            value = np.asarray(value.value, np.float32)
        kind: Any = np.float32 if value.dtype == np.float64 else value.dtype
        return t.graph.parameter(f"{node.name}_{index}", value, kind)
    activation = t.values[name]
    if isinstance(activation, Codes):
        raise error
    if isinstance(activation, Head) and activation.top_k is not None:
        raise error
    if isinstance(activation, Head):  # It is no end: something follows.
        activation = t.values[name] = keep(t, heads, heads[name], error)
    return t.graph.as_in_file(activation, node.name).name


def _renamed(proto: onnx.NodeProto, operands: list[str], output: str) -> onnx.NodeProto:
    renamed = onnx.NodeProto()
    renamed.CopyFrom(proto)
    renamed.name = proto.name or output
    del renamed.input[:], renamed.output[:]
    renamed.input.extend(operands)
    renamed.output.append(output)
    return renamed


def _keep_standard(
    t: Translation, node: Node, operands: list[str], output: str, error: RequestError
) -> None:
    """An operation of ONNX, in the version of the new graph, and the shape of what it makes."""
    graph = t.graph
    used = [name for name in dict.fromkeys(operands) if name]
    stored = [graph.parameters[name] for name in used if name in graph.parameters]
    activations = [name for name in used if name not in graph.parameters]
    ends = [
        helper.make_tensor_value_info(name, graph.element(name), graph.shapes[name])
        for name in activations
    ]
    output_info = helper.make_tensor_value_info(output, TensorProto.UNDEFINED, None)
    proto = helper.make_graph(
        [_renamed(node.proto, operands, output)], "kept", ends, [output_info], initializer=stored
    )
    version = t.opset
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", version)])
    model.ir_version = 8
    try:
        if version < OPSET:
            model = _converted(model)
        result = _run(model, {name: graph.zeros(name) for name in activations})
    except Exception as reason:  # Whatever onnx and onnxruntime raise.
        text = " ".join(str(reason).split())[:200]
        raise RequestError(
            f"{error.message}; nor can the host run it: {type(reason).__name__}: {text}",
            hint=error.hint,
        ) from reason
    for tensor in model.graph.initializer:
        graph.parameters.setdefault(tensor.name, tensor)
    element = helper.np_dtype_to_tensor_dtype(result.dtype)
    graph.opset = max(graph.opset, version)
    graph.keep(list(model.graph.node), output, result.shape, element)


def _converted(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnx.version_converter import convert_version

    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return convert_version(model, OPSET)


def _run(model: onnx.ModelProto, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """What onnxruntime makes of zeros."""
    import onnxruntime

    inferred = onnx.shape_inference.infer_shapes(model)
    if not inferred.graph.output[0].type.tensor_type.elem_type:
        raise ValueError("the type of its output is not known")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        inferred.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, inputs)[0])
