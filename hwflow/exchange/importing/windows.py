"""Sizes and padding of convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence

from hwflow.exchange.importing.nodes import Node


def numbers(node: Node, name: str, images: int) -> list[int]:
    """An attribute of one number an axis of the image; 1 where it is left out."""
    return [int(n) for n in node.attributes.get(name, [1] * images)]


def explicit_pads(node: Node, sizes: Sequence[int], reach: Sequence[int]) -> list[int]:
    """The padding in numbers: at the start of each axis, then at the end of each.

    Args:
        node: with attributes `pads` or `auto_pad`, and `strides`.
        sizes: of the image.
        reach: of the window, with its dilation.
    """
    images = len(sizes)
    auto = bytes(node.attributes.get("auto_pad", b"NOTSET"))
    if auto == b"VALID":
        return [0] * 2 * images
    if auto not in (b"SAME_UPPER", b"SAME_LOWER"):
        return [int(n) for n in node.attributes.get("pads", [0] * 2 * images)]
    starts, ends = [], []
    for size, step, window in zip(sizes, numbers(node, "strides", images), reach, strict=True):
        total = max((-(-size // step) - 1) * step + window - size, 0)
        less, more = total // 2, total - total // 2
        starts.append(less if auto == b"SAME_UPPER" else more)
        ends.append(more if auto == b"SAME_UPPER" else less)
    return [*starts, *ends]


def made_sizes(
    node: Node,
    sizes: Sequence[int],
    reach: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    *,
    ceil: bool,
) -> list[int]:
    """The sizes of the image that a window makes.

    Raises:
        RequestError: the window is larger than the image, or the last one ends beyond it.
    """
    images = len(sizes)
    made = []
    for axis, (size, window, step) in enumerate(zip(sizes, reach, strides, strict=True)):
        room = size + pads[axis] + pads[images + axis] - window
        if room < 0:
            raise node.refusal(
                f"a window of {window} is larger than the image of {size}", "use larger images"
            )
        if ceil and room % step:
            raise node.refusal(
                "a pool with ceil_mode whose last windows end beyond the image is not supported",
                "use ceil_mode=0, or images of a size that fits",
            )
        made.append(room // step + 1)
    return made
