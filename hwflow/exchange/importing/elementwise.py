"""Operations on each number by itself, and sums of two activations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from hwflow.exchange.importing.graph import Affine, Tensor
from hwflow.exchange.importing.nodes import Codes, Head, Node, Value
from hwflow.exchange.importing.normal import Translator
from hwflow.exchange.importing.quantizers import clip_codes, clip_ends
from hwflow.exchange.values import Quantized

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)


def passed(t: Translator, node: Node) -> Value:
    """Identity, Dropout and Cast: nothing happens."""
    value = t.values[node.inputs[0]]
    if isinstance(value, Head):
        return t.tensor(node)  # It refuses.
    if node.kind == "Cast" and node.attributes["to"] not in FLOATS:
        raise node.refusal("activations are made integers", "use quantizers")
    return value


def activation(t: Translator, node: Node) -> Value:
    """Relu and other functions of one number that only rise."""
    tensor = t.plain(node, t.tensor(node))
    kept = {name: value for name, value in node.attributes.items() if name == "alpha"}
    made = t.graph.add(
        node.kind,
        [tensor.name],
        tensor.shape,
        name=node.name,
        output=node.proto.output[0],
        **kept,
    )
    return replace(tensor, name=made, affine=None, quantized=False)


def clip(t: Translator, node: Node) -> Value:
    """Clip of integers of QuantizeLinear, or of real values, as ReLU6 is."""
    value = t.values[node.inputs[0]]
    if isinstance(value, Codes):
        return clip_codes(t, node, value)
    tensor = t.plain(node, t.tensor(node))
    most = float(np.finfo(np.float32).max)
    ends = [t.graph.parameter(f"{node.name}_end", end) for end in clip_ends(t, node, -most, most)]
    made = t.graph.add(
        "Clip",
        [tensor.name, *ends],
        tensor.shape,
        name=node.name,
        output=node.proto.output[0],
    )
    return replace(tensor, name=made, affine=None, quantized=False)


def arithmetic(t: Translator, node: Node) -> Value:
    """Add, Sub, Mul and Div by constants, and Add of two activations."""
    constants = [name in t.constants for name in node.inputs]
    if not any(constants):
        return _sum(t, node)
    place = constants.index(False)
    tensor = t.plain(node, t.tensor(node, place))
    value = t.constants.values[node.inputs[1 - place]]
    given = value.value if isinstance(value, Quantized) else np.asarray(value)
    if node.kind == "Div" and (place == 1 or np.any(given == 0)):
        raise node.refusal(
            "division by an activation, or by 0, is not supported", "divide by constants"
        )
    operand = t.aligned(node, given, tensor)
    if isinstance(value, Quantized) and node.kind == "Add":
        # A bias whose integers are in steps of the accumulator keeps them.
        scale = t.aligned(node, np.broadcast_to(value.scale, value.codes.shape), tensor)
        codes = t.aligned(node, value.codes, tensor)
        stored = t.parameter(node, "operand", Quantized(codes, scale, value.minimum, value.maximum))
    else:
        stored = t.graph.parameter(f"{node.name}_operand", operand)
    operands = [tensor.name, stored] if place == 0 else [stored, tensor.name]
    made = t.graph.add(
        node.kind, operands, tensor.shape, name=node.name, output=node.proto.output[0]
    )
    return replace(tensor, name=made, affine=_scaled(node, tensor, operand, place), quantized=False)


def _scaled(node: Node, tensor: Tensor, operand: np.ndarray, place: int) -> Affine | None:
    """How the result follows from the network's input."""
    if tensor.affine is None:
        return None
    factor, offset = tensor.affine.factor, tensor.affine.offset
    operand = operand.astype(np.float64)
    if node.kind == "Mul":
        return None if np.any(operand == 0) else Affine(factor * operand, offset * operand)
    if node.kind == "Div":
        return Affine(factor / operand, offset / operand)
    if node.kind == "Add":
        return Affine(factor, offset + operand)
    return Affine(factor, offset - operand) if place == 0 else Affine(-factor, operand - offset)


def _sum(t: Translator, node: Node) -> Value:
    if node.kind != "Add":
        raise node.refusal(
            f"{node.kind} of two activations is not supported",
            "only sums of two activations are hardware",
        )
    a, b = (t.plain(node, t.tensor(node, place)) for place in (0, 1))
    a, b = t.quantized_input(node, a), t.quantized_input(node, b)
    if a.file_shape != b.file_shape:
        raise node.refusal(
            f"a sum of the shapes {a.file_shape} and {b.file_shape} is not supported",
            "add activations of one shape",
        )
    if a.order is None or b.order is None:
        same_order = a.order is b.order
    else:
        same_order = np.array_equal(a.order, b.order)
    if not same_order:
        raise node.refusal(
            "a sum of vectors whose features lie in different orders is not supported",
            "export the model with channels first",
        )
    if a.axes != b.axes:
        a, b = (t.graph.channels_first(x, node.name) for x in (a, b))
    made = t.graph.add(
        "Add", [a.name, b.name], a.shape, name=node.name, output=node.proto.output[0]
    )
    return replace(a, name=made, quantized=a.quantized and b.quantized, affine=None)


def batch_norm(t: Translator, node: Node) -> Value:
    """BatchNormalization of channels first."""
    tensor = t.plain(node, t.tensor(node))
    if len(tensor.shape) > 2:
        tensor = t.graph.channels_first(tensor, node.name)
    if node.attributes.get("training_mode", 0):
        raise node.refusal("the batch norm is in training mode", "export in eval mode")
    if any(name not in t.constants for name in node.inputs[1:]):
        raise node.refusal("the batch norm's parameters are computed", "export in eval mode")
    values = [np.asarray(t.constants.real(name)) for name in node.inputs[1:]]
    if tensor.order is not None:
        values = [value[np.argsort(tensor.order)] for value in values]
    names = ("gamma", "beta", "mean", "variance")
    operands = [
        t.graph.parameter(f"{node.name}_{what}", value)
        for what, value in zip(names, values, strict=True)
    ]
    made = t.graph.add(
        "BatchNormalization",
        [tensor.name, *operands],
        tensor.shape,
        name=node.name,
        output=node.proto.output[0],
        epsilon=float(node.attributes.get("epsilon", 1e-5)),
    )
    return replace(tensor, name=made, affine=None, quantized=False)


def head(t: Translator, node: Node) -> Value:
    """Softmax, LogSoftmax, ArgMax or TopK behind the logits: cut off."""
    if node.kind == "TopK":
        return _top_k(t, node)
    if node.kind == "ArgMax":
        return replace(_ranked(t, node), top_k=1)
    return Head(node.kind, t.tensor(node))


def _ranked(t: Translator, node: Node) -> Head:
    """What ArgMax or TopK ranks: logits, or what a Softmax makes of them."""
    value = t.values.get(node.inputs[0])
    if isinstance(value, Head) and value.top_k is None:
        return value
    return Head(None, t.tensor(node))


def _top_k(t: Translator, node: Node) -> Head:
    """TopK whose indices are the file's output."""
    found = _ranked(t, node)
    if node.proto.output[-1] != t.file.graph.output[0].name or len(node.proto.output) < 2:
        raise node.refusal(
            "the values of TopK are used, but hardware gives its indices only",
            "let the indices be the file's only output",
        )
    if not node.attributes.get("largest", 1) or not node.attributes.get("sorted", 1):
        raise node.refusal(
            "TopK of the least numbers, or in no order, is not supported",
            "use largest=1 and sorted=1",
        )
    rank = len(found.logits.file_shape)
    axis = int(node.attributes.get("axis", -1)) % rank
    labels = found.logits.file_shape[axis]
    if labels != int(np.prod(found.logits.file_shape)):
        raise node.refusal("TopK along another axis than the classes", "use the last axis")
    if len(node.inputs) > 1 and node.inputs[1] not in t.constants:
        raise node.refusal("the number of classes is computed", "use a constant k")
    given = t.constants.integers(node.inputs[1]) if len(node.inputs) > 1 else ()
    count = int(given[0] if given else node.attributes["k"])  # An attribute until opset 9.
    if not 1 <= count <= labels:
        raise node.refusal(f"TopK of {count} of {labels} classes", f"use a k of 1 to {labels}")
    return replace(found, top_k=count)


def shape(t: Translator, node: Node) -> Value:
    """Shape: a constant, for the network takes one frame."""
    tensor = t.tensor(node)
    start, end = int(node.attributes.get("start", 0)), node.attributes.get("end")
    found = np.asarray(tensor.file_shape, np.int64)[start:end]
    t.constants.values[node.proto.output[0]] = found
    return tensor
