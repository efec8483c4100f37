"""Conv: convolutions of signals and images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.errors import HwflowError
from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.operations.weights import bias_of, one_an_output, rescaled, scales
from hwflow.exchange.operations.windows import (
    WINDOWS,
    explicit_pads,
    made_sizes,
    numbers,
    pad_images,
)
from hwflow.exchange.translation.graph import Tensor
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import EXACT, Float, Quantized, Value, real


def conv(t: Translation, node: Node) -> Activation:
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
    if list(node.attributes.get("kernel_shape", kernel)) != list(kernel):
        raise node.refusal(
            f"its kernel_shape is {node.attributes['kernel_shape']}, its weights' {kernel}",
            "export the model again",
        )
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
    bias = bias_of(t, node, 2) if node.has(2) else None
    return convolved(t, node, tensor, weights, bias, attributes, tuple(range(rank)))


def convolved(
    t: Translation,
    node: Node,
    tensor: Tensor,
    weights: Quantized,
    bias: Quantized | NDArray[Any] | None,
    attributes: dict[str, Any],
    axes: tuple[int, ...],
) -> Tensor:
    """A convolution in the place of a node of the file.

    Args:
        tensor: its input, channels first; what padding it has is in `attributes`.
        weights: (O, C / groups, ...).
        bias: one an output, or one for all.
        attributes: all of the new node's.
        axes: the file's order of the result's axes.

    Raises:
        RequestError: the scale of weights differs within an output channel.
    """
    tensor = t.quantized_input(node, replace(tensor, pads=()))
    scale = scales(weights)
    first = scale[(slice(None), *[slice(0, 1)] * (scale.ndim - 1))]
    if np.any(scale != first):
        raise node.refusal(
            "its weights have scales that differ within an output channel",
            "scale weights per tensor or per output channel",
        )
    operands = [tensor.name, t.parameter(node, "weights", rescaled(weights, weights.codes, first))]
    outputs = weights.codes.shape[0]
    if bias is not None:
        operands.append(t.parameter(node, "bias", one_an_output(node, bias, outputs)))
    reach = [
        (k - 1) * d + 1
        for k, d in zip(attributes["kernel_shape"], attributes["dilations"], strict=True)
    ]
    sizes = made_sizes(node, tensor.shape[2:], reach, attributes["strides"], attributes["pads"])
    shape = (1, outputs, *sizes)
    return Tensor(t.add(node, "Conv", operands, shape, **attributes), shape, axes)


# ------------------------------------------------------------------------------------ reference


def convolution(operands: list[Value], node: Node) -> Value:
    """Convolution of (N, C, ...) with (O, C / groups, ...), and a bias (O,) if there is one."""
    x, weight = operands[:2]
    if isinstance(x, Quantized) and isinstance(weight, Quantized):
        product: Value = _integers(x, weight, node)
    else:
        product = _reals(real(x), real(weight), node)
    if len(operands) == 2:
        return product
    bias = real(operands[2])
    return real(product) + bias.reshape(-1, *[1] * (real(product).ndim - 2))


def _integers(x: Quantized, weight: Quantized, node: Node) -> Quantized:
    rows = np.abs(weight.codes).reshape(len(weight.codes), -1).sum(axis=1)
    bound = rows.max() * max(abs(x.minimum), abs(x.maximum))
    if bound >= EXACT:
        raise HwflowError("an accumulator exceeds 53 bits", hint="use fewer bits")
    if x.scale.size != 1:
        raise HwflowError(
            "a convolution's input has one scale a channel", hint="scale activations per tensor"
        )
    codes = _reals(x.codes, weight.codes, node)
    scale = np.asarray(x.scale.reshape(()) * weight.scale)
    if scale.size > 1:
        scale = scale.reshape(-1, *[1] * (codes.ndim - 2))
    return Quantized(codes, scale, -int(bound), int(bound))


def _reals(x: Float, weight: Float, node: Node) -> Float:
    """By torch in float64, which is exact on integers below 2^53 in whatever order they add up."""
    import torch
    from torch.nn import functional

    images = x.ndim - 2
    convolve = {1: functional.conv1d, 2: functional.conv2d}.get(images)
    if convolve is None:
        raise HwflowError(f"convolutions of {images} axes are not supported")
    padded = pad_images(x, node, 0.0)
    output = convolve(
        torch.from_numpy(padded),
        torch.from_numpy(np.ascontiguousarray(weight)),
        stride=tuple(node.attributes.get("strides", (1,) * images)),
        dilation=tuple(node.attributes.get("dilations", (1,) * images)),
        groups=int(node.attributes.get("group", 1)),
    )
    return output.numpy()


OPERATIONS = (
    Operation(
        ("Conv",),
        reads=WINDOWS | {"dilations", "group"},
        normal={"auto_pad": b"NOTSET"},
        translate=conv,
        evaluate=convolution,
        lowering="convolution",
        batching=EACH,
        product=True,
        slow=True,
    ),
)
