"""The geometry of windows that slide over an image, for convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from hwflow.dataflow import layers
from hwflow.dataflow.graph import HardwareGraph, Shape
from hwflow.dataflow.wires import image_size
from hwflow.errors import HwflowError


@dataclass(frozen=True)
class Geometry:
    """Windows on an image, each pair height before width; a signal is one pixel wide.

    Attributes:
        kernel, strides, dilations: of the windows.
        pads: rows above, columns left, rows below, columns right.
        size: of the padded image.
        out: number of windows.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    size: tuple[int, int]
    out: tuple[int, int]

    @property
    def is_padded(self) -> bool:
        """Whether there are pixels around the image."""
        return any(self.pads)

    @property
    def is_pixel(self) -> bool:
        """Whether the windows are the image's pixels."""
        return self.kernel == (1, 1) and self.out == self.size

    @property
    def is_whole(self) -> bool:
        """Whether the only window is the whole padded image."""
        return self.kernel == self.size


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def geometry(node: onnx.NodeProto, kernel: Sequence[int], shape: Shape) -> Geometry:
    """The windows of a convolution or pool.

    Args:
        node: with ONNX's attributes strides, dilations and pads.
        kernel: of one or two axes.
        shape: (C, H, W) or (C, L).

    Raises:
        HwflowError: the image has more than two axes, or the window is larger than the image.
    """
    attributes = attributes_of(node)
    axes = len(shape) - 1
    if axes not in (1, 2) or len(kernel) != axes:
        raise HwflowError(
            f"{node.name}: windows over {axes} axes can't be lowered",
            hint="use images (channels, height, width) or signals (channels, length)",
        )
    taps = _pair(kernel)
    pads = [int(p) for p in attributes.get("pads", [0] * 2 * axes)]
    around = tuple(pads) if axes == 2 else (pads[0], 0, pads[1], 0)
    size = tuple(
        length + around[axis] + around[axis + 2] for axis, length in enumerate(image_size(shape))
    )
    spread = _pair(attributes.get("dilations", [1] * axes))
    # Neither the spread of a single tap nor a step beyond the image's end means anything.
    spread = (spread[0] if taps[0] > 1 else 1, spread[1] if taps[1] > 1 else 1)
    steps = _pair(attributes.get("strides", [1] * axes))
    steps = (min(steps[0], size[0]), min(steps[1], size[1]))
    reach = [s * (t - 1) + 1 for s, t in zip(spread, taps, strict=True)]
    if any(r > length for r, length in zip(reach, size, strict=True)):
        raise HwflowError(
            f"{node.name}: a window of {reach[0]} x {reach[1]} on an image of {size[0]} x"
            f" {size[1]}",
            hint="use larger samples, padding, or fewer pools before it",
        )
    out = [(length - r) // step + 1 for length, r, step in zip(size, reach, steps, strict=True)]
    assert len(around) == 4
    return Geometry(taps, steps, spread, around, (size[0], size[1]), (out[0], out[1]))


def padded(graph: HardwareGraph, tensor: str, windows: Geometry, *, name: str) -> str:
    """The image with its padding of zeros."""
    return layers.padding(graph, tensor, windows.pads, name=name) if windows.is_padded else tensor


def slid(
    graph: HardwareGraph, tensor: str, windows: Geometry, *, depthwise: bool, name: str
) -> str:
    """The windows of an image that is padded already.

    Raises:
        HwflowError: there is one window in an axis, of half of the image or less.
    """
    if windows.is_pixel:
        return tensor
    reach = [(k - 1) * d + 1 for k, d in zip(windows.kernel, windows.dilations, strict=True)]
    for size, seen, step in zip(windows.size, reach, windows.strides, strict=True):
        if seen + step > size >= 2 * seen:
            # FINN's windows then lose count of what they skip.
            raise HwflowError(
                f"{name}: a single window that sees {seen} of {size} pixels can't be lowered",
                hint=f"use a stride of {size - seen} or less, or a larger kernel",
            )
    return layers.windows(
        graph,
        tensor,
        windows.kernel,
        windows.strides,
        windows.dilations,
        depthwise=depthwise,
        name=name,
    )


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return (int(values[0]), int(values[1]) if len(values) > 1 else 1)
