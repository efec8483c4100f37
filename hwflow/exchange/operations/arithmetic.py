"""Add, Sub, Mul, Div and Neg: of an activation and constants; and sums of two activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwflow.exchange.operations.operation import EACH, Evaluate, Operation
from hwflow.exchange.translation.constants import Constant, Constants, narrowest
from hwflow.exchange.translation.graph import Affine, Tensor
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import SAME_SCALE, Float, Quantized, Value, real


def arithmetic(t: Translation, node: Node) -> Activation:
    """Add, Sub, Mul and Div by constants, and Add of two activations."""
    constants = [name in t.constants for name in node.inputs]
    if not any(constants):
        return _sum(t, node)
    index = constants.index(False)
    tensor = t.plain(node, t.tensor(node, index))
    value = t.constants.values[node.inputs[1 - index]]
    reals = value.value if isinstance(value, Quantized) else np.asarray(value)
    if node.kind == "Div" and (index == 1 or np.any(reals == 0)):
        raise node.refusal(
            "division by an activation, or by 0, is not supported", "divide by constants"
        )
    operand = t.aligned(node, reals, tensor)
    if isinstance(value, Quantized) and node.kind == "Add":
        # A bias whose integers are in steps of the accumulator keeps them.
        scale = t.aligned(node, np.broadcast_to(value.scale, value.codes.shape), tensor)
        codes = t.aligned(node, value.codes, tensor)
        stored = t.parameter(node, "operand", Quantized(codes, scale, value.minimum, value.maximum))
    else:
        stored = t.graph.parameter(f"{node.name}_operand", operand)
    operands = [tensor.name, stored] if index == 0 else [stored, tensor.name]
    output = t.add(node, node.kind, operands, tensor.shape)
    return replace(
        tensor, name=output, affine=_scaled(node, tensor, operand, index), quantized=False
    )


def _scaled(node: Node, tensor: Tensor, operand: np.ndarray, index: int) -> Affine | None:
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
    return Affine(factor, offset - operand) if index == 0 else Affine(-factor, operand - offset)


def _sum(t: Translation, node: Node) -> Activation:
    if node.kind != "Add":
        raise node.refusal(
            f"{node.kind} of two activations is not supported",
            "only sums of two activations are hardware",
        )
    a, b = (t.plain(node, t.tensor(node, index)) for index in (0, 1))
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
    output = t.add(node, "Add", [a.name, b.name], a.shape)
    return replace(a, name=output, quantized=a.quantized and b.quantized, affine=None)


def negative(t: Translation, node: Node) -> Activation:
    """Neg."""
    tensor = t.plain(node, t.tensor(node))
    affine = tensor.affine and Affine(-tensor.affine.factor, -tensor.affine.offset)
    output = t.add(node, "Neg", [tensor.name], tensor.shape)
    return replace(tensor, name=output, affine=affine, quantized=False)


# ------------------------------------------------------------------------------------ constants


def scaled_constant(constants: Constants, node: Node) -> Constant:
    """Mul or Div of constants: integers and scale times a real constant are the same integers at
    another scale."""
    a, b = constants.operands(node)
    integers = [x for x in (a, b) if isinstance(x, Quantized)]
    if len(integers) != 1 or (isinstance(b, Quantized) and node.kind == "Div"):
        return constants.computed(node)[0]
    (x,) = integers
    factor = constants.real(node.inputs[1 if x is a else 0])
    factor = 1 / factor.astype(np.float64) if node.kind == "Div" else factor
    if np.any(factor <= 0) or np.broadcast_shapes(factor.shape, x.codes.shape) != x.codes.shape:
        return x.value * factor
    scale = np.broadcast_to(x.scale * factor, x.codes.shape)
    return Quantized(x.codes, narrowest(scale), x.minimum, x.maximum, x.bipolar)


# ------------------------------------------------------------------------------------ reference


def added(operands: list[Value], node: Node | None = None) -> Value:
    """The sum of two operands; codes of one scale stay codes."""
    a, b = operands
    if isinstance(a, Quantized) and isinstance(b, Quantized):
        near = np.abs(a.scale - b.scale) <= SAME_SCALE * np.abs(a.scale)
        if np.all(near):
            return Quantized(
                a.codes + b.codes, a.scale, a.minimum + b.minimum, a.maximum + b.maximum
            )
    return real(a) + real(b)


def _elementwise(operation: Callable[..., Float]) -> Evaluate:
    return lambda operands, node: operation(*(real(v) for v in operands))


# Of opsets before 7: constants are broadcast without it since.
IDLE = frozenset({"broadcast", "consumed_inputs"})
OPERATIONS = (
    Operation(
        ("Add",),
        idle=IDLE,
        translate=arithmetic,
        evaluate=added,
        lowering="monotone",
        joining="addition",
        batching=EACH,
        keeps_axes=True,
        exact=True,
    ),
    Operation(
        ("Sub",),
        idle=IDLE,
        translate=arithmetic,
        evaluate=_elementwise(np.subtract),
        lowering="monotone",
        batching=EACH,
        keeps_axes=True,
        exact=True,
    ),
    Operation(
        ("Mul",),
        idle=IDLE,
        translate=arithmetic,
        fold=scaled_constant,
        evaluate=_elementwise(np.multiply),
        lowering="monotone",
        batching=EACH,
        keeps_axes=True,
        exact=True,
    ),
    Operation(
        ("Div",),
        idle=IDLE,
        translate=arithmetic,
        fold=scaled_constant,
        evaluate=_elementwise(np.divide),
        lowering="monotone",
        batching=EACH,
        keeps_axes=True,
        exact=True,
    ),
    Operation(
        ("Neg",),
        idle=IDLE,
        translate=negative,
        evaluate=_elementwise(np.negative),
        lowering="monotone",
        batching=EACH,
        exact=True,
    ),
)
