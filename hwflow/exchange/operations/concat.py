"""Concat: activations side by side, along the channels."""

from __future__ import annotations

import numpy as np

from hwflow.exchange.operations.operation import Operation, along
from hwflow.exchange.translation.graph import Tensor
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import SAME_SCALE, Quantized, Value, real


def translate(t: Translation, node: Node) -> Activation:
    """Concat of activations along the channels."""
    if any(name in t.constants for name in node.inputs):
        raise node.refusal(
            "a constant and activations are concatenated, which is not supported",
            "concatenate activations only",
        )
    tensors = [t.plain(node, t.tensor(node, index)) for index in range(len(node.inputs))]
    tensors = [t.quantized_input(node, tensor) for tensor in tensors]
    axes = tensors[0].axes
    if any(tensor.axes != axes or tensor.order is not None for tensor in tensors):
        tensors = [t.graph.channels_first(tensor, node.name) for tensor in tensors]
        axes = tensors[0].axes
    if any(tensor.order is not None for tensor in tensors):
        raise node.refusal(
            "vectors of flattened images, channels last, are concatenated",
            "export the model with channels first",
        )
    if axes[int(node.attributes["axis"]) % len(axes)] != 1:
        raise node.refusal("only channels are concatenated", "concatenate along the channels")
    shape = list(tensors[0].shape)
    shape[1] = sum(tensor.shape[1] for tensor in tensors)
    output = t.add(node, "Concat", [tensor.name for tensor in tensors], shape, axis=1)
    return Tensor(output, tuple(shape), axes, quantized=all(x.quantized for x in tensors))


def concatenated(operands: list[Value], node: Node) -> Value:
    """Values side by side; codes stay codes where all have one scale."""
    axis = int(node.attributes["axis"])
    quantized = [x for x in operands if isinstance(x, Quantized)]
    if len(quantized) < len(operands) or not all(_same_scale(quantized[0], x) for x in quantized):
        return np.concatenate([real(x) for x in operands], axis=axis)
    return Quantized(
        np.concatenate([x.codes for x in quantized], axis=axis),
        quantized[0].scale,
        min(x.minimum for x in quantized),
        max(x.maximum for x in quantized),
        all(x.bipolar for x in quantized),
    )


def _same_scale(a: Quantized, b: Quantized) -> bool:
    if a.scale.size != 1 or b.scale.size != 1:
        return False
    return bool(abs(a.scale.item() - b.scale.item()) <= SAME_SCALE * abs(a.scale.item()))


OPERATIONS = (
    Operation(
        ("Concat",),
        reads=frozenset({"axis"}),
        translate=translate,
        evaluate=concatenated,
        joining="concatenation",
        batching=along(0),
    ),
)
