"""Identity, Dropout and Cast: nothing happens to an activation."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.operations.shapes import moved
from hwflow.exchange.translation.nodes import Activation, Head, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Value

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)


def passed(t: Translation, node: Node) -> Activation:
    """The activation itself.

    Raises:
        RequestError: a Dropout that is training, or a Cast to integers.
    """
    value = t.values[node.inputs[0]]
    if isinstance(value, Head):
        return t.tensor(node)  # It refuses.
    if node.kind == "Cast" and node.attributes["to"] not in FLOATS:
        raise node.refusal("activations are made integers", "use quantizers")
    if node.kind == "Dropout" and node.has(2):
        training = t.constants.values.get(node.inputs[2])
        if not isinstance(training, np.ndarray) or np.any(training):
            raise node.refusal("the dropout is in training mode", "export in eval mode")
    return value


def _same(operands: list[Value], node: Node) -> Value:
    return operands[0]


OPERATIONS = (
    Operation(
        ("Identity",),
        translate=passed,
        fold=moved,
        evaluate=_same,
        lowering="identity",
        batching=EACH,
        keeps_axes=True,
        exact=True,
    ),
    Operation(
        ("Dropout",),
        # Of training; is_test says in opsets before 7 that there is none.
        idle=frozenset({"ratio", "seed", "is_test", "consumed_inputs"}),
        translate=passed,
        evaluate=_same,
        lowering="identity",
        batching=EACH,
        keeps_axes=True,
        spare_outputs=True,
    ),
    Operation(
        ("Cast",),
        reads=frozenset({"to"}),
        idle=frozenset({"saturate", "round_mode"}),  # Of numbers of 8 bits that are no integers.
        translate=passed,
        fold=moved,
        batching=EACH,
        keeps_axes=True,
    ),
)
