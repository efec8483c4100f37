"""ReLU6, which is a Clip in normal form; and SoftSign, which no other operation is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Value, real

DOMAIN = "acme"


def relu6(t: Translation, node: Node) -> Activation:
    """Clip from 0 to 6."""
    tensor = t.plain(node, t.tensor(node))
    ends = [t.graph.parameter(f"{node.name}_end", end) for end in (0.0, 6.0)]
    made = t.add(node, "Clip", [tensor.name, *ends], tensor.shape)
    return replace(tensor, name=made, affine=None, quantized=False)


def softsign(t: Translation, node: Node) -> Activation:
    """The same: the reference computes it, and the rule for monotone functions lowers it."""
    tensor = t.plain(node, t.tensor(node))
    slope = float(node.attributes.get("slope", 1.0))
    made = t.add(node, "SoftSign", [tensor.name], tensor.shape, domain=DOMAIN, slope=slope)
    return replace(tensor, name=made, affine=None, quantized=False)


def clipped(operands: list[Value], node: Node) -> Value:
    return np.clip(real(operands[0]), 0.0, 6.0)


def softsigned(operands: list[Value], node: Node) -> Value:
    x = real(operands[0]) * node.attributes.get("slope", 1.0)
    return x / (1 + np.abs(x))


OPERATIONS = (
    Operation(("ReLU6",), DOMAIN, translate=relu6, evaluate=clipped, batching=EACH),
    Operation(
        ("SoftSign",),
        DOMAIN,
        reads=frozenset({"slope"}),
        translate=softsign,
        evaluate=softsigned,
        lowering="monotone",
        batching=EACH,
    ),
)
