"""Linear and convolutional layers: MatMul, Gemm, Conv."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.exchange.importing.constants import narrowest
from hwflow.exchange.importing.graph import Tensor
from hwflow.exchange.importing.nodes import Node, Value
from hwflow.exchange.importing.normal import Translator
from hwflow.exchange.importing.windows import explicit_pads, made_sizes, numbers
from hwflow.exchange.values import Quantized


def matmul(t: Translator, node: Node) -> Value:
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


def gemm(t: Translator, node: Node) -> Value:
    """Gemm, its factors folded into weights and bias."""
    if node.attributes.get("transA", 0):
        raise node.refusal("Gemm with transA is not supported", "leave transA out")
    if node.inputs[0] in t.constants:
        raise node.refusal(
            "Gemm with the weights on the left is not supported", "put the activation first"
        )
    weights = t.weights(node, 1)
    if node.attributes.get("transB", 0):
        weights = _with(weights, weights.codes.T, np.broadcast_to(*_both(weights)).T)
    weights = _times(node, weights, float(node.attributes.get("alpha", 1.0)))
    bias = None
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = _bias(t, node, 2)
        beta = float(node.attributes.get("beta", 1.0))
        bias = _times(node, bias, beta) if isinstance(bias, Quantized) else bias * beta
    return _linear(t, node, t.plain(node, t.tensor(node)), weights, bias)


def _linear(
    t: Translator,
    node: Node,
    tensor: Tensor,
    weights: Quantized,
    bias: Quantized | NDArray[Any] | None,
) -> Value:
    inputs, outputs = weights.codes.shape
    if len(tensor.shape) != 2 or tensor.shape[1] != inputs:
        raise node.refusal(
            f"its input has the shape {tensor.file_shape}, its weights {inputs} x {outputs}",
            "flatten images in front of a linear layer",
        )
    tensor = t.quantized_input(node, tensor)
    scale = np.broadcast_to(*_both(weights))
    if np.any(scale != scale[:1]):
        raise node.refusal(
            "its weights have one scale an input", "scale weights per tensor or per output"
        )
    codes = weights.codes
    if tensor.order is not None:
        codes = np.empty_like(codes)
        codes[tensor.order] = weights.codes
    stored = t.parameter(node, "weights", _with(weights, codes, scale[:1]))
    operands = [tensor.name, stored]
    if bias is not None:
        operands.append(t.parameter(node, "bias", _one_an_output(node, bias, outputs)))
    made = t.graph.add(
        "MatMul" if bias is None else "Gemm",
        operands,
        (1, outputs),
        name=node.name,
        output=node.proto.output[0],
    )
    return Tensor(made, (1, outputs), (0, 1))


def _pointwise(t: Translator, node: Node, tensor: Tensor, weights: Quantized) -> Value:
    """MatMul along the last axis of (1, ..., C)."""
    rank = len(tensor.shape)
    if tensor.axes[-1] != 1 or weights.codes.shape[0] != tensor.shape[1]:
        raise node.refusal(
            f"MatMul of an activation of the shape {tensor.file_shape} is not supported",
            "flatten it first",
        )
    scale = np.broadcast_to(*_both(weights))
    tall = (weights.codes.shape[1], weights.codes.shape[0], *[1] * (rank - 2))
    turned = _with(weights, weights.codes.T.reshape(tall), scale.T.reshape(tall))
    attributes = {"kernel_shape": [1] * (rank - 2), "pads": [0] * 2 * (rank - 2), "group": 1}
    attributes |= {"strides": [1] * (rank - 2), "dilations": [1] * (rank - 2)}
    return _convolution(t, node, tensor, turned, None, attributes, tensor.axes)


def conv(t: Translator, node: Node) -> Value:
    """Conv over signals and images, its padding in numbers."""
    weights = t.weights(node, 1)
    tensor = t.graph.channels_first(t.tensor(node), node.name)
    rank, images = len(tensor.shape), len(tensor.shape) - 2
    if images not in (1, 2):
        raise node.refusal(
            f"convolutions over {images} axes are not supported: its input has the shape"
            f" {tensor.file_shape}",
            "hardware takes signals (C, L) and images (C, H, W)",
        )
    group = int(node.attributes.get("group", 1))
    if 1 < group < tensor.shape[1]:
        raise node.refusal(
            f"a convolution in {group} groups of {tensor.shape[1]} channels is not supported",
            f"use 1 group, or one a channel ({tensor.shape[1]}: depthwise)",
        )
    if len(weights.codes.shape) != rank or weights.codes.shape[1] * group != tensor.shape[1]:
        raise node.refusal(
            f"its input has the shape {tensor.file_shape}, its weights {weights.codes.shape}",
            "export the model again",
        )
    kernel = weights.codes.shape[2:]
    spread = numbers(node, "dilations", images)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, spread, strict=True)]
    pads = explicit_pads(node, tensor.shape[2:], reach)
    if tensor.pads:  # Zeros that a Pad puts around the image are the convolution's own.
        around = [tensor.pads[side * rank + axis] for side in (0, 1) for axis in range(rank)]
        if any(around[axis] for axis in (0, 1, rank, rank + 1)):
            raise node.refusal("channels are padded in front of it", "pad images only")
        own = [*around[2:rank], *around[rank + 2 :]]
        pads = [a + b for a, b in zip(pads, own, strict=True)]
    attributes = {
        "kernel_shape": list(kernel),
        "strides": numbers(node, "strides", images),
        "dilations": spread,
        "pads": pads,
        "group": group,
    }
    bias = _bias(t, node, 2) if len(node.inputs) > 2 and node.inputs[2] else None
    return _convolution(t, node, tensor, weights, bias, attributes, tuple(range(rank)))


def _convolution(
    t: Translator,
    node: Node,
    tensor: Tensor,
    weights: Quantized,
    bias: Quantized | NDArray[Any] | None,
    attributes: dict[str, Any],
    axes: tuple[int, ...],
) -> Value:
    tensor = t.quantized_input(node, replace(tensor, pads=()))
    scale = np.broadcast_to(*_both(weights))
    first = scale[(slice(None), *[slice(0, 1)] * (scale.ndim - 1))]
    if np.any(scale != first):
        raise node.refusal(
            "its weights have scales that differ within an output channel",
            "scale weights per tensor or per output channel",
        )
    operands = [tensor.name, t.parameter(node, "weights", _with(weights, weights.codes, first))]
    outputs = weights.codes.shape[0]
    if bias is not None:
        operands.append(t.parameter(node, "bias", _one_an_output(node, bias, outputs)))
    reach = [
        (k - 1) * d + 1
        for k, d in zip(attributes["kernel_shape"], attributes["dilations"], strict=True)
    ]
    sizes = made_sizes(
        node, tensor.shape[2:], reach, attributes["strides"], attributes["pads"], ceil=False
    )
    shape = (1, outputs, *sizes)
    made = t.graph.add(
        "Conv", operands, shape, name=node.name, output=node.proto.output[0], **attributes
    )
    return Tensor(made, shape, axes)


def _both(value: Quantized) -> tuple[NDArray[Any], tuple[int, ...]]:
    return value.scale, value.codes.shape


def _with(value: Quantized, codes: NDArray[Any], scale: NDArray[Any]) -> Quantized:
    return Quantized(codes, narrowest(scale), value.minimum, value.maximum, value.bipolar)


def _times(node: Node, value: Quantized, factor: float) -> Quantized:
    if factor <= 0:
        raise node.refusal(f"a factor of {factor:g} is not supported", "use positive factors")
    return _with(value, value.codes, np.asarray(value.scale * factor))


def _bias(t: Translator, node: Node, place: int) -> Quantized | NDArray[Any]:
    name = node.inputs[place]
    if name not in t.constants:
        raise node.refusal("its bias is computed from the input", "use a constant bias")
    return t.constants.values[name]


def _one_an_output(
    node: Node, bias: Quantized | NDArray[Any], outputs: int
) -> Quantized | NDArray[Any]:
    """A bias (or its integers and scales) of the shape (outputs,)."""
    given = bias.codes if isinstance(bias, Quantized) else bias
    if given.size not in (1, outputs):
        raise node.refusal(
            f"its bias has {given.size} values for {outputs} outputs", "give one an output"
        )
    flat = np.broadcast_to(given.reshape(-1), (outputs,))
    if not isinstance(bias, Quantized):
        return flat
    scale = np.broadcast_to(bias.scale, given.shape).reshape(-1)
    return _with(bias, flat, np.broadcast_to(scale, (outputs,)))
