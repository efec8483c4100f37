"""GlobalAveragePool and ReduceMean: averages of whole images.

An average of codes is their sum, an exact integer, times a constant: it rounds once, and hardware
finds its steps on the sum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwflow.errors import HwflowError
from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.translation.graph import Tensor
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Float, Quantized, Value, real


def global_average_pool(t: Translation, node: Node) -> Activation:
    """GlobalAveragePool."""
    tensor = t.graph.channels_first(t.plain(node, t.tensor(node)), node.name)
    return global_average(t, node, t.quantized_input(node, tensor))


def reduce_mean(t: Translation, node: Node) -> Activation:
    """ReduceMean over all axes of the image: GlobalAveragePool, as newer exporters write it."""
    tensor = t.plain(node, t.tensor(node))
    rank = len(tensor.shape)
    if node.has(1):
        axes = t.constants.integers(node.inputs[1])
    else:
        axes = [int(n) for n in node.attributes.get("axes", range(rank))]
    reduced = {tensor.axes[axis % rank] for axis in axes}
    if reduced != set(range(2, rank)) or rank < 3:
        raise node.refusal(
            f"a mean over the axes {sorted(axes)} is not supported",
            "take means over whole images, for each channel",
        )
    tensor = t.quantized_input(node, tensor)
    keeps_axes = bool(node.attributes.get("keepdims", 1))
    pooled = global_average(t, node, tensor, None if keeps_axes else f"{node.name}_pool")
    if keeps_axes:
        return pooled
    shape = tensor.shape[:2]
    return Tensor(t.add(node, "Flatten", [pooled.name], shape, axis=1), shape, (0, 1))


def global_average(t: Translation, node: Node, tensor: Tensor, name: str | None = None) -> Tensor:
    """A GlobalAveragePool.

    Args:
        tensor: quantized, channels first.
        name: of the new node and what it makes; None: those of the file's node.
    """
    shape = (*tensor.shape[:2], *[1] * (len(tensor.shape) - 2))
    output = t.graph.add(
        "GlobalAveragePool",
        [tensor.name],
        shape,
        name=name or node.name,
        output=name or node.output,
    )
    return replace(tensor, name=output, shape=shape, quantized=False)


# ------------------------------------------------------------------------------------ reference


def mean_of_sum(total: Float, scale: Float, count: int) -> Float:
    """The real mean of `count` codes that add up to `total`."""
    return total * scale / count


def whole_means(operands: list[Value], node: Node | None = None) -> Value:
    """Means over whole images, (N, C, ...) to (N, C, 1, ...): real values."""
    x = operands[0]
    axes = tuple(range(2, real(x).ndim))
    if not isinstance(x, Quantized) or x.scale.size != 1:
        means: Float = real(x).mean(axis=axes, keepdims=True)
        return means
    total = x.codes.sum(axis=axes, keepdims=True)  # Exact: the mean rounds once.
    return mean_of_sum(total, x.scale, int(np.prod([x.codes.shape[axis] for axis in axes])))


def _reduced(operands: list[Value], node: Node) -> Value:
    """Means over whole images, as torch >= 2.10 writes an adaptive average pool.

    Raises:
        HwflowError: the mean is over other axes.
    """
    images = real(operands[0]).ndim
    axes = real(operands[1]) if len(operands) > 1 else node.attributes.get("axes", range(images))
    averaged = sorted(int(axis) % images for axis in np.asarray(axes).reshape(-1))
    if averaged != list(range(2, images)):
        raise HwflowError(
            f"a mean over the axes {averaged} is not supported", hint="average over whole images"
        )
    mean = real(whole_means(operands[:1]))
    return mean if node.attributes.get("keepdims", 1) else mean.reshape(mean.shape[:2])


OPERATIONS = (
    Operation(
        ("GlobalAveragePool",),
        translate=global_average_pool,
        evaluate=whole_means,
        lowering="global_average",
        batching=EACH,
    ),
    Operation(
        ("ReduceMean",),
        reads=frozenset({"axes", "keepdims"}),
        translate=reduce_mean,
        evaluate=_reduced,
        lowering="global_average",
        batching=EACH,
        exact=True,
    ),
)
