"""Averages, truncation and resizing of the software reference.

An average of codes is their sum, an exact integer, times a constant: it rounds once, and hardware
finds its steps on the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.exchange.images import pad_images, window_view
from hwflow.exchange.values import Float, Quantized, Value, quantizer_range, real, rounding


def mean_of_sum(total: Float, scale: Float, count: int) -> Float:
    """The real mean of `count` codes that add up to `total`."""
    return total * scale / count


def global_average_pool(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """Means over whole images, (N, C, ...) to (N, C, 1, ...): real values."""
    x = operands[0]
    axes = tuple(range(2, real(x).ndim))
    if not isinstance(x, Quantized) or x.scale.size != 1:
        return real(x).mean(axis=axes, keepdims=True)
    total = x.codes.sum(axis=axes, keepdims=True)  # Exact: the mean rounds once.
    return mean_of_sum(total, x.scale, int(np.prod([x.codes.shape[axis] for axis in axes])))


def reduce_mean(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """Means over whole images, as torch >= 2.10 writes an adaptive average pool.

    Raises:
        HwflowError: the mean is over other axes.
    """
    images = real(operands[0]).ndim
    given = real(operands[1]) if len(operands) > 1 else attributes.get("axes", range(images))
    axes = sorted(int(axis) % images for axis in np.asarray(given).reshape(-1))
    if axes != list(range(2, images)):
        raise HwflowError(
            f"a mean over the axes {axes} is not supported", hint="average over whole images"
        )
    mean = real(global_average_pool(operands[:1], {}))
    return mean if attributes.get("keepdims", 1) else mean.reshape(mean.shape[:2])


def average_pool(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """Means over windows of (N, C, ...): real values.

    Raises:
        HwflowError: windows at the border hold fewer numbers than others.
    """
    x, kernel = operands[0], tuple(attributes["kernel_shape"])
    pads = attributes.get("pads", (0,) * 2 * len(kernel))
    if attributes.get("ceil_mode", 0) or (any(pads) and not attributes.get("count_include_pad", 0)):
        raise HwflowError(
            "average pools with ceil_mode, or with padding that does not count, are not supported",
            hint="pad before the pool, or set count_include_pad",
        )
    count, axes = int(np.prod(kernel)), tuple(range(-len(kernel), 0))
    numbers = x.codes if isinstance(x, Quantized) and x.scale.size == 1 else real(x)
    total = window_view(pad_images(numbers, attributes, 0.0), attributes).sum(axis=axes)
    if isinstance(x, Quantized) and x.scale.size == 1:
        return mean_of_sum(total, x.scale.reshape(()), count)
    return total / count


def trunc(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """QONNX's Trunc, both versions: leaves out the low bits of codes in a finer scale.

    Inputs are x, scale, zero point, bits, [output scale,] output bits. The first version knows
    neither sign nor output scale: its codes stay in the scale that they come in.

    Raises:
        HwflowError: a zero point other than 0, or a rounding mode that is not known.
    """
    x, scale, zero_point, bits, *rest = (real(v) for v in operands)
    if np.any(zero_point != 0):
        raise HwflowError(
            "a truncation has a zero point other than 0", hint="use symmetric quantizers"
        )
    codes = np.rint(x / scale)
    round_ = rounding(attributes, "FLOOR")
    kept = int(rest[-1].item())
    if len(rest) == 1:
        low, high = -(2 ** (kept - 1)), 2**kept - 1
        return Quantized(round_(codes / 2.0 ** (int(bits.item()) - kept)), scale, low, high)
    step = 2.0 ** np.rint(np.log2(rest[0] / scale))
    signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
    low, high = quantizer_range(kept, signed, narrow)
    return Quantized(round_(np.clip(codes / step, low, high)), rest[0], low, high)


def resize(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """Each pixel repeated a whole number of times; codes stay codes.

    Inputs are as of ONNX's Resize (x, [region,] scales or sizes) or Upsample (x, scales); the
    attribute `sizes` says which of the two they are.

    Raises:
        HwflowError: it interpolates, or by no whole factor.
    """
    factors = repeats(operands, attributes)
    x = operands[0]

    def repeated(numbers: Float) -> Float:
        for axis, factor in enumerate(factors):
            numbers = np.repeat(numbers, factor, axis=axis + 2)
        return numbers

    if isinstance(x, Quantized):
        return Quantized(repeated(x.codes), x.scale, x.minimum, x.maximum, x.bipolar)
    return repeated(x)


def upsample(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """ONNX's Upsample, which Resize has replaced."""
    place = {"coordinate_transformation_mode": b"asymmetric", "nearest_mode": b"floor"}
    return resize(operands, {**attributes, **place})


def repeats(operands: list[Value], attributes: dict[str, Any]) -> tuple[int, ...]:
    """How often a Resize repeats each pixel, along each axis of the image.

    Raises:
        HwflowError: it interpolates, or by no whole factor.
    """
    shape = real(operands[0]).shape
    given = np.asarray(real(operands[-1])).reshape(-1)
    nearest = attributes.get("mode", b"nearest") == b"nearest"
    place = attributes.get("coordinate_transformation_mode", b"half_pixel")
    rounds = attributes.get("nearest_mode", b"round_prefer_floor")
    exact = (place == b"asymmetric" and rounds == b"floor") or (
        place in (b"half_pixel", b"pytorch_half_pixel") and rounds != b"ceil" and rounds != b"floor"
    )
    channels = shape[1] if attributes.get("sizes") else 1
    keeps = len(given) == len(shape) and given[0] in (1, shape[0]) and given[1] == channels
    factors = given[2:] / np.asarray(shape[2:]) if attributes.get("sizes") else given[2:]
    whole = bool(np.all(factors >= 1) and np.all(factors == np.rint(factors)))
    if not (nearest and exact and keeps and whole):
        raise HwflowError(
            "a resize that is no repetition of pixels is not supported",
            hint="use nearest upsampling by a whole factor",
        )
    return tuple(int(factor) for factor in factors)
