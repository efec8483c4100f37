"""BatchNormalization, of channels first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Float, Value, real


def translate(t: Translation, node: Node) -> Activation:
    """The same, its parameters in the order of the features."""
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
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    inputs = [tensor.name, *operands]
    output = t.add(node, "BatchNormalization", inputs, tensor.shape, epsilon=epsilon)
    return replace(tensor, name=output, affine=None, quantized=False)


def normalised(operands: list[Value], node: Node) -> Value:
    """Channels less their mean, over their deviation, scaled and shifted."""
    x, gamma, beta, mean, variance = (real(v) for v in operands)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    deviation = np.sqrt(variance + node.attributes.get("epsilon", 1e-5)).reshape(shape)
    standardised = (x - mean.reshape(shape)) / deviation
    scaled: Float = standardised * gamma.reshape(shape) + beta.reshape(shape)
    return scaled


OPERATIONS = (
    Operation(
        ("BatchNormalization",),
        reads=frozenset({"epsilon", "training_mode"}),
        # Of training; is_test says in opsets before 7 that there is none.
        idle=frozenset({"momentum", "is_test", "consumed_inputs"}),
        normal={"training_mode": 0},
        translate=translate,
        evaluate=normalised,
        lowering="monotone",
        batching=EACH,
        spare_outputs=True,
        exact=True,
    ),
)
