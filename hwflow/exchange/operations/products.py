"""MatMul and Gemm: linear layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.errors import HwflowError
from hwflow.exchange.operations.arithmetic import added
from hwflow.exchange.operations.convolutions import convolved
from hwflow.exchange.operations.operation import EACH, Batching, Operation
from hwflow.exchange.operations.shapes import transposed
from hwflow.exchange.operations.weights import bias_of, one_an_output, rescaled, scales, times
from hwflow.exchange.translation.graph import Tensor
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import EXACT, Quantized, Value, real


def matmul(t: Translation, node: Node) -> Activation:
    """MatMul by weights; along the channels of an image it is a 1 x 1 convolution."""
    if node.inputs[0] in t.constants:
        raise node.refusal(
            "MatMul with the weights on the left is not supported", "put the activation first"
        )
    weights = t.weights(node, 1)
    tensor = t.plain(node, t.tensor(node))
    if len(weights.codes.shape) != 2:
        raise node.refusal(
            f"weights of the shape {weights.codes.shape} are not supported", "use a matrix"
        )
    if len(tensor.shape) > 2:
        return _pointwise(t, node, tensor, weights)
    return _linear(t, node, tensor, weights, None)


def gemm(t: Translation, node: Node) -> Activation:
    """Gemm, its factors folded into weights and bias."""
    if node.attributes.get("transA", 0):
        raise node.refusal("Gemm with transA is not supported", "leave transA out")
    if node.inputs[0] in t.constants:
        raise node.refusal(
            "Gemm with the weights on the left is not supported", "put the activation first"
        )
    weights = t.weights(node, 1)
    if node.attributes.get("transB", 0):
        weights = rescaled(weights, weights.codes.T, scales(weights).T)
    weights = times(node, weights, float(node.attributes.get("alpha", 1.0)))
    bias = None
    if node.has(2):
        bias = bias_of(t, node, 2)
        beta = float(node.attributes.get("beta", 1.0))
        bias = times(node, bias, beta) if isinstance(bias, Quantized) else bias * beta
    return _linear(t, node, t.plain(node, t.tensor(node)), weights, bias)


def _linear(
    t: Translation,
    node: Node,
    tensor: Tensor,
    weights: Quantized,
    bias: Quantized | NDArray[Any] | None,
) -> Activation:
    inputs, outputs = weights.codes.shape
    if len(tensor.shape) != 2 or tensor.shape[1] != inputs:
        raise node.refusal(
            f"its input has the shape {tensor.file_shape}, its weights {inputs} x {outputs}",
            "flatten images in front of a linear layer",
        )
    tensor = t.quantized_input(node, tensor)
    scale = scales(weights)
    if np.any(scale != scale[:1]):
        raise node.refusal(
            "its weights have one scale an input", "scale weights per tensor or per output"
        )
    codes = weights.codes
    if tensor.order is not None:
        codes = np.empty_like(codes)
        codes[tensor.order] = weights.codes
    stored = t.parameter(node, "weights", rescaled(weights, codes, scale[:1]))
    operands = [tensor.name, stored]
    if bias is not None:
        operands.append(t.parameter(node, "bias", one_an_output(node, bias, outputs)))
    output = t.add(node, "MatMul" if bias is None else "Gemm", operands, (1, outputs))
    return Tensor(output, (1, outputs), (0, 1))


def _pointwise(t: Translation, node: Node, tensor: Tensor, weights: Quantized) -> Activation:
    """MatMul along the last axis of (1, ..., C)."""
    rank = len(tensor.shape)
    if tensor.axes[-1] != 1 or weights.codes.shape[0] != tensor.shape[1]:
        raise node.refusal(
            f"MatMul of an activation of the shape {tensor.file_shape} is not supported",
            "flatten it first",
        )
    scale = scales(weights)
    tall = (weights.codes.shape[1], weights.codes.shape[0], *[1] * (rank - 2))
    turned = rescaled(weights, weights.codes.T.reshape(tall), scale.T.reshape(tall))
    attributes = {"kernel_shape": [1] * (rank - 2), "pads": [0] * 2 * (rank - 2), "group": 1}
    attributes |= {"strides": [1] * (rank - 2), "dilations": [1] * (rank - 2)}
    return convolved(t, node, tensor, turned, None, attributes, tensor.axes)


# ------------------------------------------------------------------------------------ reference


def multiplied(operands: list[Value], node: Node | None = None) -> Value:
    """The product of two operands; of codes it is integers.

    Raises:
        HwflowError: sums that float64 does not hold, or an input of one scale a channel.
    """
    a, b = operands
    if not (isinstance(a, Quantized) and isinstance(b, Quantized)):
        return real(a) @ real(b)
    bound = np.abs(b.codes).sum(axis=0).max() * max(abs(a.minimum), abs(a.maximum))
    if bound >= EXACT:
        raise HwflowError("an accumulator exceeds 53 bits", hint="use fewer bits")
    if a.scale.size != 1:
        raise HwflowError(
            "a linear layer's input has one scale a channel", hint="scale activations per tensor"
        )
    scale = np.asarray(a.scale.reshape(()) * b.scale)
    if scale.ndim > 1:
        scale = scale.reshape(-1)
    return Quantized(a.codes @ b.codes, scale, -int(bound), int(bound))


def _gemm(operands: list[Value], node: Node) -> Value:
    a, b = operands[:2]
    if node.attributes.get("alpha", 1.0) != 1.0 or node.attributes.get("beta", 1.0) != 1.0:
        raise HwflowError("Gemm with alpha or beta other than 1 is not supported")
    if node.attributes.get("transB", 0):
        b = transposed(b, None)
    product = multiplied([a, b])
    return product if len(operands) < 3 else added([product, operands[2]])


OPERATIONS = (
    Operation(
        ("MatMul",),
        translate=matmul,
        evaluate=multiplied,
        lowering="linear",
        batching=Batching(lambda node, frames: frames.is_fixed(node.inputs[1])),
        product=True,
        exact=True,
    ),
    Operation(
        ("Gemm",),
        reads=frozenset({"alpha", "beta", "transA", "transB"}),
        idle=frozenset({"broadcast"}),  # Of opsets before 7: a bias is broadcast without it since.
        normal={"transA": 0},
        translate=gemm,
        evaluate=_gemm,
        lowering="linear",
        batching=EACH,
        product=True,
        exact=True,
    ),
)
