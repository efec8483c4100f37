"""Integers as the accelerator's output, where the host goes on from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwflow.dataflow.graph import HardwareGraph, Integers, Shape
from hwflow.dataflow.wires import Wire
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Float

# Points over an output's range at which it is held against a line.
POINTS = 33


@dataclass(frozen=True)
class OutputCode:
    """What the integers mean that the accelerator puts out: a tensor of the network.

    Attributes:
        shape: of one sample of the tensor: (C, H, W), (C, L) or (F,).
        places: (elements,) where each of the tensor's numbers, flattened, lies among the integers
            of a frame, which are channels last.
        scale, zero: (C, 1, ...) or (F,): value = scale * integer + zero.
    """

    shape: Shape
    places: NDArray[np.int64]
    scale: Float
    zero: Float

    def reals(self, integers: Integers) -> Float:
        """Integers of frames, (N, elements), as the tensor's values, (N, *shape)."""
        placed = integers[:, self.places].reshape(-1, *self.shape)
        return placed * self.scale + self.zero

    def integers(self, values: Float) -> Integers:
        """The inverse of `reals`, of values that are such. Where the scale is 0, all integers
        mean one value: there it is 0."""
        scale = np.where(self.scale == 0, 1.0, self.scale)
        exact = np.where(self.scale == 0, 0.0, (values - self.zero) / scale)
        integers = np.zeros((len(values), len(self.places)), np.int64)
        integers[:, self.places] = np.rint(exact).reshape(len(values), -1)
        return integers


def end_with(graph: HardwareGraph, wire: Wire) -> OutputCode:
    """Let the hardware graph end with a tensor.

    Raises:
        HwflowError: it is not a scale times integers plus a bias.
    """
    graph.output = wire.name
    scale, zero = _line(wire)
    return OutputCode(wire.shape, _places(wire), scale.reshape(wire.grid), zero.reshape(wire.grid))


def _line(wire: Wire) -> tuple[Float, Float]:
    """(C,) scale and zero of the values, which lie on a line."""
    low, high = wire.low, wire.high
    first, last = wire.reals(np.stack([low, high]))
    scale = (last - first) / np.maximum(high - low, 1)
    zero = first - scale * low
    steps = np.rint(np.linspace(0, 1, POINTS)[:, None] * (high - low)).astype(np.int64)
    points = np.concatenate([low + steps, np.stack([low + 1, high - 1, 0 * low - 1, 0 * low])])
    points = np.clip(points, low, high)
    line = scale * points + zero
    bound = 1e-9 * np.abs(line).max(initial=0.0)
    if not np.allclose(wire.reals(points), line, rtol=1e-9, atol=bound):
        raise HwflowError(
            f"{', '.join(wire.nodes)} is not a scale and a bias", hint="put it behind the output"
        )
    return scale, zero


def _places(wire: Wire) -> NDArray[np.int64]:
    count = int(np.prod(wire.shape))
    if wire.order is not None:
        return np.argsort(wire.order)
    places = np.arange(count)
    if not wire.is_image:
        return places
    return np.moveaxis(places.reshape(*wire.shape[1:], wire.shape[0]), -1, 0).reshape(-1)
