"""What flows through the integer graph while it is built, and how channels are negated in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwflow.dataflow import layers
from hwflow.dataflow.graph import HardwareGraph, Integers, Shape
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Quantized, Value, real
from hwflow.kernels.integer_types import integer_type

Function = Callable[[Integers], Value]


@dataclass(frozen=True)
class Wire:
    """An integer tensor of the hardware graph, and the tensor of the network that it stands for.

    Integers of one channel all mean the same, so what is known of them is known a channel; where
    channels are no more (behind Flatten, or in a network that sees no images) it is known of each
    number.

    Attributes:
        name: tensor in the hardware graph.
        shape: of one sample in the network: (C, H, W), (C, L) or (F,).
        grid: (C, 1, ...), one number a channel, or the shape itself.
        low, high: (C,) or (F,) range of each channel's, or number's, integers.
        function: maps integers (N, *grid) to the real or quantized values (N, *grid) of the
            network's tensor.
        order: (F,) which of the network's numbers lies where in the tensor of a flattened image,
            channels last; None: the same.
        maker: index in the hardware graph of the product that made it, whose weights may be
            negated; None: something else did.
        shared: whether anything else in the network reads it too, or what led to it.
        nodes: names of the network's operations since the integers were made, for messages.
        bipolar: whether the integers are -1 and +1 only.
        mixed: name of the concatenation that joined codes of different scales; None: they have one.
    """

    name: str
    shape: Shape
    grid: Shape
    low: Integers
    high: Integers
    function: Function
    order: NDArray[np.int64] | None = None
    maker: int | None = None
    shared: bool = False
    nodes: tuple[str, ...] = ()
    bipolar: bool = False
    mixed: str | None = None

    @property
    def is_image(self) -> bool:
        """Whether it has channels of pixels."""
        return len(self.shape) > 1 and self.grid == channel_grid(self.shape)

    @property
    def vectors(self) -> Shape:
        """Pixels of one sample as hardware sees them: (1, H, W); (1,) of vectors."""
        return (1, *image_size(self.shape)) if self.is_image else (1,)

    def at(self, integers: Integers) -> Value:
        """The value of integers (N, C) or (N, F), in the same shape.

        Raises:
            HwflowError: it depends on where in the image a number lies.
        """
        value = self.function(integers.reshape(len(integers), *self.grid))
        if real(value).shape != (len(integers), *self.grid):
            raise HwflowError(
                f"{', '.join(self.nodes)}: what it does depends on the place in the image",
                hint="scale, shift and normalise by channel",
            )
        if not isinstance(value, Quantized):
            return value.reshape(len(integers), -1)
        scale = np.asarray(value.scale)
        if scale.size > 1:
            scale = np.broadcast_to(scale, (1, *self.grid)).reshape(-1)
        codes = value.codes.reshape(len(integers), -1)
        return Quantized(codes, scale, value.minimum, value.maximum, value.bipolar)

    def reals(self, integers: Integers) -> NDArray[np.float64]:
        """The real value of integers (N, C) or (N, F)."""
        return real(self.at(integers))

    @property
    def is_code(self) -> bool:
        """Whether the integers are the network's own codes, in one scale."""
        ends = np.stack([self.low, self.high])
        value = self.at(ends)
        return (
            isinstance(value, Quantized)
            and value.scale.size == 1
            and np.array_equal(value.codes, ends)
        )


def channel_grid(shape: Shape) -> Shape:
    """One number a channel of samples of a shape."""
    return (shape[0], *(1 for _ in shape[1:]))


def image_size(shape: Shape) -> tuple[int, int]:
    """Height and width of an image (C, H, W); a signal (C, L) is L high and 1 wide."""
    return (shape[1], shape[2] if len(shape) > 2 else 1)


def tensor_shape(shape: Shape, *, image: bool) -> Shape:
    """The hardware tensor of samples of a shape."""
    return (1, *image_size(shape), shape[0]) if image else (1, math.prod(shape))


def codes_of(scale: NDArray[np.float64], minimum: int, maximum: int, bipolar: bool) -> Function:
    """Integers that are codes of a quantizer."""
    return lambda n: Quantized(n.astype(np.float64), scale, minimum, maximum, bipolar)


# ----------------------------------------------------------------------------- negated channels


def falling(wire: Wire) -> NDArray[np.bool_]:
    """(C,) where the value falls when the integer rises."""
    return np.asarray(wire.reals(wire.high[None])[0] < wire.reals(wire.low[None])[0])


def negated(graph: HardwareGraph, wire: Wire, channels: NDArray[np.bool_]) -> Wire:
    """The wire with the integers of some channels negated, and meaning the same.

    The weights of the product that made it are negated, where nothing else reads that and their
    bits allow it; else each such channel is multiplied by -1.
    """
    if not channels.any():
        return wire
    low, high = (
        np.where(channels, -wire.high, wire.low),
        np.where(channels, -wire.low, wire.high),
    )
    signs = np.where(channels, -1, 1)
    grid, before = (1, *wire.grid), wire.function
    changed = replace(
        wire, low=low, high=high, function=lambda n: before(n * signs.reshape(grid)), bipolar=False
    )
    flags = _by_channel(graph, wire, channels)
    maker = None if wire.shared else wire.maker
    if maker is not None and graph.negatable(maker, flags):
        graph.negate_rows(maker, flags, int(low.min()), int(high.max()))
        return changed
    name = layers.by_channel(
        graph,
        "ElementwiseMul",
        wire.name,
        np.where(flags, -1, 1),
        integer_type(int(low.min()), int(high.max())),
        name="signs",
    )
    return replace(changed, name=name, maker=None)


def _by_channel(graph: HardwareGraph, wire: Wire, channels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What holds for numbers of a flattened image, for the channels of its tensor."""
    last = graph.shapes[wire.name][-1]
    rows = (channels if wire.order is None else channels[wire.order]).reshape(-1, last)
    if np.any(rows != rows[0]):
        raise HwflowError(
            f"{', '.join(wire.nodes)}: the sign differs within a channel of a flattened image",
            hint="normalise before Flatten, or with a positive factor",
        )
    row: NDArray[np.bool_] = rows[0]
    return row
