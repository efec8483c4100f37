"""Sizes and padding of convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwflow.exchange.translation.nodes import Node
from hwflow.exchange.values import Float

# What convolutions and pools say of their windows; dilations aside.
WINDOWS = frozenset({"kernel_shape", "strides", "pads", "auto_pad"})


def numbers(node: Node, name: str, images: int) -> list[int]:
    """An attribute of one number an axis of the image; 1 where it is left out."""
    return [int(n) for n in node.attributes.get(name, [1] * images)]


def explicit_pads(node: Node, sizes: Sequence[int], reach: Sequence[int]) -> list[int]:
    """The padding in numbers: at the start of each axis, then at the end of each.

    Args:
        node: with attributes `pads` or `auto_pad`, and `strides`.
        sizes: of the image.
        reach: of the window, with its dilation.

    Raises:
        RequestError: `auto_pad` says what ONNX does not know.
    """
    images = len(sizes)
    auto = node.text("auto_pad", "NOTSET")
    if auto == "VALID":
        return [0] * 2 * images
    if auto == "NOTSET":
        return [int(n) for n in node.attributes.get("pads", [0] * 2 * images)]
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.refusal(f"auto_pad={auto} is not known", "give the padding in numbers (pads)")
    starts, ends = [], []
    for size, step, window in zip(sizes, numbers(node, "strides", images), reach, strict=True):
        total = max((-(-size // step) - 1) * step + window - size, 0)
        less, more = total // 2, total - total // 2
        starts.append(less if auto == "SAME_UPPER" else more)
        ends.append(more if auto == "SAME_UPPER" else less)
    return [*starts, *ends]


def made_sizes(
    node: Node,
    sizes: Sequence[int],
    reach: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
) -> list[int]:
    """The sizes of the image that a window makes.

    Raises:
        RequestError: the window is larger than the image.
    """
    images = len(sizes)
    output_sizes = []
    for axis, (size, window, step) in enumerate(zip(sizes, reach, strides, strict=True)):
        room = size + pads[axis] + pads[images + axis] - window
        if room < 0:
            raise node.refusal(
                f"a window of {window} is larger than the image of {size}", "use larger images"
            )
        output_sizes.append(room // step + 1)
    return output_sizes


def beyond(
    sizes: Sequence[int], reach: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> list[int]:
    """Pixels behind the end of each axis that the last windows see with `ceil_mode`.

    As onnxruntime and PyTorch have it, a window begins in the image or in the padding before it.
    """
    images, pixels = len(sizes), []
    for axis, (size, window, step) in enumerate(zip(sizes, reach, strides, strict=True)):
        length = size + pads[axis] + pads[images + axis]
        last = -(-(length - window) // step)
        if last * step >= size + pads[axis]:
            last -= 1
        pixels.append(max(last * step + window - length, 0))
    return pixels


# ------------------------------------------------------------------------------------ reference


def pad_images(x: Float, node: Node, value: float) -> Float:
    """Images with as much around them as a node's attribute `pads` says."""
    images = x.ndim - 2
    pads = node.attributes.get("pads", (0,) * 2 * images)
    widths = [(0, 0), (0, 0), *zip(pads[:images], pads[images:], strict=True)]
    return np.pad(x, widths, constant_values=value)


def window_view(x: Float, node: Node) -> Float:
    """Windows of (N, C, ...) as further axes at the end, by `kernel_shape` and `strides`."""
    kernel = tuple(node.attributes["kernel_shape"])
    steps = node.attributes.get("strides", (1,) * len(kernel))
    axes = tuple(range(2, x.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=axes)
    return windows[(slice(None), slice(None), *(slice(None, None, step) for step in steps))]
