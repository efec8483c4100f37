"""Functions of one number that only rise: Relu, LeakyRelu, Sigmoid, Tanh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Value, real


def translate(t: Translation, node: Node) -> Activation:
    """The same."""
    tensor = t.plain(node, t.tensor(node))
    kept = {name: value for name, value in node.attributes.items() if name == "alpha"}
    made = t.add(node, node.kind, [tensor.name], tensor.shape, **kept)
    return replace(tensor, name=made, affine=None, quantized=False)


def _relu(operands: list[Value], node: Node) -> Value:
    return np.maximum(real(operands[0]), 0.0)


def _leaky_relu(operands: list[Value], node: Node) -> Value:
    x = real(operands[0])
    return np.where(x < 0, x * node.attributes.get("alpha", 0.01), x)


def _sigmoid(operands: list[Value], node: Node) -> Value:
    return 1 / (1 + np.exp(-real(operands[0])))


def _tanh(operands: list[Value], node: Node) -> Value:
    return np.tanh(real(operands[0]))


IDLE = frozenset({"consumed_inputs"})  # Of opsets before 6.
OPERATIONS = (
    Operation(
        ("Relu",),
        idle=IDLE,
        translate=translate,
        evaluate=_relu,
        lowering="monotone",
        batching=EACH,
        exact=True,
    ),
    Operation(
        ("LeakyRelu",),
        reads=frozenset({"alpha"}),
        idle=IDLE,
        translate=translate,
        evaluate=_leaky_relu,
        lowering="monotone",
        batching=EACH,
    ),
    Operation(
        ("Sigmoid",),
        idle=IDLE,
        translate=translate,
        evaluate=_sigmoid,
        lowering="monotone",
        batching=EACH,
        exact=True,
    ),
    Operation(
        ("Tanh",),
        idle=IDLE,
        translate=translate,
        evaluate=_tanh,
        lowering="monotone",
        batching=EACH,
        exact=True,
    ),
)
