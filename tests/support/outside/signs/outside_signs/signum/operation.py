"""The operation Sign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized, Value, real


def _translate(t: Translation, node: Node) -> Activation:
    tensor = t.plain(node, t.tensor(node))
    made = t.add(node, node.kind, [tensor.name], tensor.shape)
    return replace(tensor, name=made, affine=None)


def _evaluate(operands: list[Value], node: Node) -> Value:
    return Quantized(np.sign(real(operands[0])), np.ones(()), -1, 1)


OPERATIONS = Operation(
    ("Sign",),
    translate=_translate,
    evaluate=_evaluate,
    lowering="signum",
    batching=EACH,
    exact=True,
)
