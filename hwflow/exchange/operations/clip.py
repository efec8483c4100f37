"""Clip: of integers between QuantizeLinear and DequantizeLinear, or of real values, as ReLU6 is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.operations.parameters import constant
from hwflow.exchange.translation.nodes import Activation, Codes, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Value, real


def translate(t: Translation, node: Node) -> Activation:
    """Clip of either."""
    value = t.values[node.inputs[0]]
    if isinstance(value, Codes):  # They are of fewer bits.
        low, high = ends_of(t, node, value.low, value.high)
        return replace(value, low=max(value.low, int(low)), high=min(value.high, int(high)))
    tensor = t.plain(node, t.tensor(node))
    most = float(np.finfo(np.float32).max)
    ends = [t.graph.parameter(f"{node.name}_end", end) for end in ends_of(t, node, -most, most)]
    output = t.add(node, "Clip", [tensor.name, *ends], tensor.shape)
    return replace(tensor, name=output, affine=None, quantized=False)


def ends_of(t: Translation, node: Node, low: float, high: float) -> tuple[float, float]:
    """The bounds, operands since opset 11, attributes before; the defaults else."""
    ends = [float(node.attributes.get("min", low)), float(node.attributes.get("max", high))]
    for index in (1, 2):
        if node.has(index):
            ends[index - 1] = float(constant(t, node, index, "bound").item())
    return ends[0], ends[1]


def clipped(operands: list[Value], node: Node) -> Value:
    """Real values within the bounds."""
    bounds: list[Any] = [real(v) for v in operands[1:]]
    if len(node.inputs) > 1 and not node.has(1):  # An upper bound only.
        bounds.insert(0, -np.inf)
    low = bounds[0] if bounds else node.attributes.get("min", -np.inf)
    high = bounds[1] if len(bounds) > 1 else node.attributes.get("max", np.inf)
    return np.clip(real(operands[0]), low, high)


OPERATIONS = (
    Operation(
        ("Clip",),
        reads=frozenset({"min", "max"}),
        idle=frozenset({"consumed_inputs"}),
        translate=translate,
        evaluate=clipped,
        lowering="monotone",
        batching=EACH,
        keeps_axes=True,
    ),
)
