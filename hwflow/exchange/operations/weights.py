"""Weights and biases of layers: integers and their scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.exchange.translation.constants import narrowest
from hwflow.exchange.translation.nodes import Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized


def scales(value: Quantized) -> NDArray[Any]:
    """The scale of each integer."""
    return np.broadcast_to(value.scale, value.codes.shape)


def rescaled(value: Quantized, codes: NDArray[Any], scale: NDArray[Any]) -> Quantized:
    """Other integers of the same range, and their scales."""
    return Quantized(codes, narrowest(scale), value.minimum, value.maximum, value.bipolar)


def times(node: Node, value: Quantized, factor: float) -> Quantized:
    """Integers at a scale that is `factor` times as large.

    Raises:
        RequestError: it is not positive.
    """
    if factor <= 0:
        raise node.refusal(f"a factor of {factor:g} is not supported", "use positive factors")
    return rescaled(value, value.codes, np.asarray(value.scale * factor))


def bias_of(t: Translation, node: Node, index: int) -> Quantized | NDArray[Any]:
    """The bias of a layer.

    Raises:
        RequestError: it is computed from the input.
    """
    name = node.inputs[index]
    if name not in t.constants:
        raise node.refusal("its bias is computed from the input", "use a constant bias")
    return t.constants.values[name]


def one_an_output(
    node: Node, bias: Quantized | NDArray[Any], outputs: int
) -> Quantized | NDArray[Any]:
    """A bias (or its integers and scales) of the shape (outputs,)."""
    values = bias.codes if isinstance(bias, Quantized) else bias
    if values.size not in (1, outputs):
        raise node.refusal(
            f"its bias has {values.size} values for {outputs} outputs", "give one an output"
        )
    flat = np.broadcast_to(values.reshape(-1), (outputs,))
    if not isinstance(bias, Quantized):
        return flat
    scale = np.broadcast_to(bias.scale, values.shape).reshape(-1)
    return rescaled(bias, flat, np.broadcast_to(scale, (outputs,)))
