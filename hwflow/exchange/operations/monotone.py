"""Functions of one number that only rise: Relu and its kin, Sigmoid, Tanh and what is like them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Float, Value, real

# Attributes that say how such a function rises.
SHAPING = ("alpha", "beta", "gamma")


def translate(t: Translation, node: Node) -> Activation:
    """The same."""
    tensor = t.plain(node, t.tensor(node))
    attributes = {name: node.attributes[name] for name in SHAPING if name in node.attributes}
    output = t.add(node, node.kind, [tensor.name], tensor.shape, **attributes)
    return replace(tensor, name=output, affine=None, quantized=False)


def _rising(t: Translation, node: Node) -> Activation:
    """The same, where its numbers let it rise."""
    for name in SHAPING[::2]:
        if node.attributes.get(name, 1.0) < 0:
            raise node.refusal(
                f"{node.kind} with {name}={node.attributes[name]:g} falls", f"use {name} >= 0"
            )
    return translate(t, node)


def _falls_nowhere(t: Translation, node: Node) -> Activation:
    """The same, its slope below 0 no fall."""
    slope = float(node.attributes.get("alpha", 0.01))
    if slope < 0:
        raise node.refusal(f"LeakyRelu with the slope {slope:g} falls", "use a slope >= 0")
    return translate(t, node)


def _prelu(t: Translation, node: Node) -> Activation:
    """The same, its slopes by channel."""
    if node.inputs[1] not in t.constants:
        raise node.refusal("the slope of PRelu is computed", "use a constant slope")
    slope = np.asarray(t.constants.real(node.inputs[1]))
    if np.any(slope < 0):
        raise node.refusal(
            f"PRelu with the slope {slope.min():g} falls where its input is negative",
            "keep slopes at 0 or above",
        )
    tensor = t.plain(node, t.tensor(node))
    stored = t.graph.parameter(f"{node.name}_slope", t.aligned(node, slope, tensor))
    output = t.add(node, "PRelu", [tensor.name, stored], tensor.shape)
    return replace(tensor, name=output, affine=None, quantized=False)


def _relu(operands: list[Value], node: Node) -> Value:
    return np.maximum(real(operands[0]), 0.0)


def _leaky_relu(operands: list[Value], node: Node) -> Value:
    x = real(operands[0])
    return np.where(x < 0, x * node.attributes.get("alpha", 0.01), x)


def _slopes(operands: list[Value], node: Node) -> Value:
    x, slope = (real(value) for value in operands)
    return np.where(x < 0, x * slope, x)


def _elu(operands: list[Value], node: Node) -> Value:
    x = real(operands[0])
    return np.where(x < 0, node.attributes.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)), x)


def _selu(operands: list[Value], node: Node) -> Value:
    x = real(operands[0])
    alpha, gamma = (node.attributes.get(name, SELU[name]) for name in ("alpha", "gamma"))
    output: Float = gamma * np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)
    return output


def _hard_sigmoid(operands: list[Value], node: Node) -> Value:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    output: Float = np.clip(alpha * real(operands[0]) + beta, 0, 1)
    return output


def _softplus(operands: list[Value], node: Node) -> Value:
    return np.logaddexp(real(operands[0]), 0)


def _softsign(operands: list[Value], node: Node) -> Value:
    x = real(operands[0])
    output: Float = x / (1 + np.abs(x))
    return output


def _sigmoid(operands: list[Value], node: Node) -> Value:
    return 1 / (1 + np.exp(-real(operands[0])))


def _tanh(operands: list[Value], node: Node) -> Value:
    return np.tanh(real(operands[0]))


# ONNX's defaults.
SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}
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
        translate=_falls_nowhere,
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
    Operation(
        ("PRelu",),
        idle=IDLE,
        translate=_prelu,
        evaluate=_slopes,
        lowering="monotone",
        batching=EACH,
    ),
    *(
        Operation(
            (name,),
            reads=frozenset(reads),
            idle=IDLE,
            translate=_rising,
            evaluate=evaluate,
            lowering="monotone",
            batching=EACH,
        )
        for name, reads, evaluate in (
            ("Elu", ("alpha",), _elu),
            ("Selu", ("alpha", "gamma"), _selu),
            ("HardSigmoid", ("alpha", "beta"), _hard_sigmoid),
            ("Softplus", (), _softplus),
            ("Softsign", (), _softsign),
        )
    ),
)
