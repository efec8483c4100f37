"""ONNX's QuantizeLinear and DequantizeLinear: a quantizer is a pair of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.operations.parameters import check_scale, constant, plain_values, single
from hwflow.exchange.translation.constants import Constant, Constants, narrowest
from hwflow.exchange.translation.graph import Tensor
from hwflow.exchange.translation.nodes import Activation, Codes, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized

INTEGERS = (np.uint8, np.int8, np.uint16, np.int16)


def quantize_linear(t: Translation, node: Node) -> Activation:
    """QuantizeLinear: integers, to be clipped and given their scale back."""
    tensor = t.tensor(node)
    scale = constant(t, node, 1, "scale").astype(np.float64)
    check_scale(node, scale)
    scale = along_axis(scale, len(tensor.file_shape), node.attributes)
    zero = constant(t, node, 2, "zero point") if node.has(2) else np.zeros((), np.uint8)
    if zero.dtype not in INTEGERS:
        raise node.refusal(
            f"integers of type {zero.dtype} are not supported", "quantize to int8 or uint8"
        )
    ends = np.iinfo(zero.dtype)
    shift = int(single(node, zero, "zero points"))
    return Codes(tensor, scale, shift, int(ends.min), int(ends.max))


def dequantize_linear(t: Translation, node: Node) -> Activation:
    """DequantizeLinear of what QuantizeLinear made: a quantizer."""
    codes = t.values.get(node.inputs[0])
    if isinstance(codes, Tensor) and codes.affine is not None and t.grid is not None:
        return _given_integers(t, node, codes)
    if not isinstance(codes, Codes):
        raise node.refusal(
            "its input is not what QuantizeLinear made", "put QuantizeLinear in front of it"
        )
    scale = constant(t, node, 1, "scale").astype(np.float64)
    scale = along_axis(scale, len(codes.tensor.file_shape), node.attributes)
    zero = int(_zero_point(t, node))
    same = scale.shape == codes.scale.shape and np.array_equal(scale, codes.scale)
    if not same or zero != codes.zero:
        raise node.refusal(
            "its scale or zero point is not that of its QuantizeLinear",
            "give both the same, or requantize with a pair of both",
        )
    low, high = codes.low - zero, codes.high - zero
    return t.quantize(node, codes.tensor, codes.scale, low, high, zero=zero)


def _zero_point(t: Translation, node: Node) -> float:
    if not node.has(2):
        return 0.0
    return single(node, constant(t, node, 2, "zero point"), "zero points")


def _given_integers(t: Translation, node: Node, tensor: Tensor) -> Activation:
    """DequantizeLinear of a file whose input is integers: the input scaled."""
    assert tensor.affine is not None
    scale = single(node, constant(t, node, 1, "scale"), "scales")
    zero = _zero_point(t, node)
    name = tensor.name
    affine = tensor.affine
    if zero:
        operand = t.graph.parameter(f"{node.name}_zero_point", zero)
        name = t.graph.add("Sub", [name, operand], tensor.shape, name=f"{node.name}_sub")
    operand = t.graph.parameter(f"{node.name}_scale", scale)
    name = t.add(node, "Mul", [name, operand], tensor.shape)
    scaled = replace(affine, factor=affine.factor * scale, offset=(affine.offset - zero) * scale)
    return replace(tensor, name=name, affine=scaled)


def dequantized(constants: Constants, node: Node) -> Constant:
    """DequantizeLinear of constant integers."""
    operands = constants.operands(node)
    codes = np.asarray(plain_values(operands[0]), np.float64)
    scale = np.asarray(plain_values(operands[1]), np.float64)
    zero = np.asarray(plain_values(operands[2]), np.float64) if len(operands) > 2 else np.zeros(())
    if zero.size == 0:
        zero = np.zeros(())
    scale, zero = (along_axis(x, codes.ndim, node.attributes) for x in (scale, zero))
    codes = codes - zero
    low, high = min(int(codes.min()), 0), max(int(codes.max()), 0)
    return Quantized(codes, narrowest(scale), low, high)


def along_axis(values: NDArray[Any], rank: int, attributes: Mapping[str, Any]) -> NDArray[Any]:
    """Parameters of QuantizeLinear and DequantizeLinear, one a slice of an axis, to broadcast."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * rank
    axis = attributes.get("axis", 1)
    shape[axis if axis < 0 else min(axis, rank - 1)] = values.size
    return values.reshape(shape)


OPERATIONS = (
    Operation(
        ("QuantizeLinear",),
        reads=frozenset({"axis"}),
        idle=frozenset({"saturate"}),  # Of numbers that are no integers.
        translate=quantize_linear,
        batching=EACH,
        quantizes=True,
        keeps_axes=True,
    ),
    Operation(
        ("DequantizeLinear",),
        reads=frozenset({"axis"}),
        translate=dequantize_linear,
        fold=dequantized,
        batching=EACH,
        quantizes=True,
        keeps_axes=True,
    ),
)
