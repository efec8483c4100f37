"""Softmax, LogSoftmax, ArgMax and TopK behind the logits: cut off, for hardware chooses the
greatest logit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwflow.exchange.operations.operation import Operation, along
from hwflow.exchange.translation.nodes import Activation, Head, Node
from hwflow.exchange.translation.state import Translation

# The first opset in which Softmax is along one axis; before, along all from that one on.
ONE_AXIS = 13


def probabilities(t: Translation, node: Node) -> Activation:
    """Softmax or LogSoftmax."""
    logits = t.tensor(node)
    one = t.opset >= ONE_AXIS
    _check_axis(node, logits.file_shape, -1 if one else 1, one)
    return Head(node.kind, logits, name=node.name)


def greatest(t: Translation, node: Node) -> Activation:
    """ArgMax."""
    head = _ranked(t, node)
    _check_axis(node, head.logits.file_shape, 0, True)
    return replace(head, top_k=1)


def top_k(t: Translation, node: Node) -> Activation:
    """TopK whose indices are the file's output."""
    head = _ranked(t, node)
    if node.proto.output[-1] != t.output or len(node.proto.output) < 2:
        raise node.refusal(
            "the values of TopK are used, but hardware gives its indices only",
            "let the indices be the file's only output",
        )
    if not node.attributes.get("largest", 1) or not node.attributes.get("sorted", 1):
        raise node.refusal(
            "TopK of the least numbers, or in no order, is not supported",
            "use largest=1 and sorted=1",
        )
    labels = _check_axis(node, head.logits.file_shape, -1, True)
    if len(node.inputs) > 1 and node.inputs[1] not in t.constants:
        raise node.refusal("the number of classes is computed", "use a constant k")
    operand = t.constants.integers(node.inputs[1]) if len(node.inputs) > 1 else ()
    count = int(operand[0] if operand else node.attributes["k"])  # An attribute until opset 9.
    if not 1 <= count <= labels:
        raise node.refusal(f"TopK of {count} of {labels} classes", f"use a k of 1 to {labels}")
    return replace(head, top_k=count)


def _ranked(t: Translation, node: Node) -> Head:
    """What ArgMax or TopK ranks: logits, or what a Softmax makes of them."""
    value = t.values.get(node.inputs[0])
    if isinstance(value, Head) and value.top_k is None:
        return value
    return Head(None, t.tensor(node), name=node.name)


def _check_axis(node: Node, shape: tuple[int, ...], default: int, one: bool) -> int:
    """Refuse another axis than that of all classes; returns how many there are.

    Args:
        shape: of what comes in.
        default: the axis, if the node does not say.
        one: whether it is along that axis alone, not along all from it on.
    """
    if sum(size > 1 for size in shape) > 1:
        raise node.refusal(
            f"{node.kind} is supported at the end of a network only, of (1, classes), and this is"
            f" of {shape}",
            f"leave {node.kind} out of the middle of the network",
        )
    axis = int(node.attributes.get("axis", default)) % len(shape)
    labels = shape[axis] if one else int(np.prod(shape[axis:]))
    if labels != int(np.prod(shape)):
        raise node.refusal(
            f"{node.kind} along another axis than the classes", "use the axis of the classes, 1"
        )
    return labels


OPERATIONS = (
    Operation(
        ("Softmax", "LogSoftmax"),
        reads=frozenset({"axis"}),
        translate=probabilities,
        batching=along(-1),
    ),
    Operation(
        ("ArgMax",),
        reads=frozenset({"axis"}),
        idle=frozenset({"keepdims"}),  # The classes are compared, whatever their shape.
        translate=greatest,
        batching=along(0),
        chooses=True,
    ),
    Operation(
        ("TopK",),
        reads=frozenset({"axis", "k", "largest", "sorted"}),
        translate=top_k,
        batching=along(-1),
        chooses=True,
        result=-1,
        spare_outputs=True,
    ),
)
