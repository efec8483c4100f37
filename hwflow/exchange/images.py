"""Convolutions, pools and concatenations of the software reference, on real values or, exactly, on
integer codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.exchange.values import EXACT, SAME_SCALE, Float, Quantized, Value, real


def conv(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """Convolution of (N, C, ...) with (O, C / groups, ...), and a bias (O,) if there is one."""
    x, weight = operands[:2]
    if isinstance(x, Quantized) and isinstance(weight, Quantized):
        product: Value = _integer_conv(x, weight, attributes)
    else:
        product = _convolved(real(x), real(weight), attributes)
    if len(operands) == 2:
        return product
    bias = real(operands[2])
    return real(product) + bias.reshape(-1, *[1] * (real(product).ndim - 2))


def _integer_conv(x: Quantized, weight: Quantized, attributes: dict[str, Any]) -> Quantized:
    rows = np.abs(weight.codes).reshape(len(weight.codes), -1).sum(axis=1)
    bound = rows.max() * max(abs(x.minimum), abs(x.maximum))
    if bound >= EXACT:
        raise HwflowError("an accumulator exceeds 53 bits", hint="use fewer bits")
    if x.scale.size != 1:
        raise HwflowError(
            "a convolution's input has one scale a channel", hint="scale activations per tensor"
        )
    codes = _convolved(x.codes, weight.codes, attributes)
    scale = np.asarray(x.scale.reshape(()) * weight.scale)
    if scale.size > 1:
        scale = scale.reshape(-1, *[1] * (codes.ndim - 2))
    return Quantized(codes, scale, -int(bound), int(bound))


def _convolved(x: Float, weight: Float, attributes: dict[str, Any]) -> Float:
    """By torch in float64, which is exact on integers below 2^53 in whatever order they add up."""
    import torch
    from torch.nn import functional

    images = x.ndim - 2
    convolve = {1: functional.conv1d, 2: functional.conv2d}.get(images)
    if convolve is None:
        raise HwflowError(f"convolutions of {images} axes are not supported")
    padded = pad_images(x, attributes, 0.0)
    made = convolve(
        torch.from_numpy(padded),
        torch.from_numpy(np.ascontiguousarray(weight)),
        stride=tuple(attributes.get("strides", (1,) * images)),
        dilation=tuple(attributes.get("dilations", (1,) * images)),
        groups=int(attributes.get("group", 1)),
    )
    return made.numpy()


def pad_images(x: Float, attributes: dict[str, Any], value: float) -> Float:
    """Images with as much around them as a node's attribute `pads` says."""
    images = x.ndim - 2
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise HwflowError("automatic padding is not supported", hint="give the padding in numbers")
    pads = attributes.get("pads", (0,) * 2 * images)
    widths = [(0, 0), (0, 0), *zip(pads[:images], pads[images:], strict=True)]
    return np.pad(x, widths, constant_values=value)


def max_pool(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """Maxima over windows of (N, C, ...); codes stay codes, for scales are positive."""
    x = operands[0]
    if isinstance(x, Quantized):
        codes = _maxima(x.codes, attributes)
        return Quantized(codes, x.scale, x.minimum, x.maximum, x.bipolar)
    return _maxima(x, attributes)


def _maxima(x: Float, attributes: dict[str, Any]) -> Float:
    images = x.ndim - 2
    spread = tuple(attributes.get("dilations", (1,) * images))
    if attributes.get("ceil_mode", 0) or any(step != 1 for step in spread):
        raise HwflowError(
            "max pools with ceil_mode or dilation are not supported",
            hint="pad before the pool, or use a plain one",
        )
    windows = window_view(pad_images(x, attributes, -np.inf), attributes)
    return windows.max(axis=tuple(range(-images, 0)))


def window_view(x: Float, attributes: dict[str, Any]) -> Float:
    """Windows of (N, C, ...) as further axes at the end, by `kernel_shape` and `strides`."""
    kernel = tuple(attributes["kernel_shape"])
    steps = attributes.get("strides", (1,) * len(kernel))
    axes = tuple(range(2, x.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=axes)
    return windows[(slice(None), slice(None), *(slice(None, None, step) for step in steps))]


def concat(operands: list[Value], attributes: dict[str, Any]) -> Value:
    """Values side by side; codes stay codes where all have one scale."""
    axis = int(attributes["axis"])
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
