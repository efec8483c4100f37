"""What each hardware layer computes, on batches of integers and exactly.

Integers travel in float tensors, because matrix products are fastest there. That is exact as long
as no sum exceeds the float's integers: 2^24 in float32, 2^53 in float64. Each layer knows the
range of what it puts out; a linear layer chooses the narrowest container that holds the sum of
all magnitudes, which bounds every partial sum too, in whatever order a library adds them.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.errors import HwflowError

Integers = NDArray[np.int64]
EXACT = {torch.float32: 2**24, torch.float64: 2**53}
# Below this many distinct inputs a step function of one for all channels is a table.
TABLE = 2**16
# Up to this many thresholds, comparing with each is faster than searching.
FEW_STEPS = 15


class Layer(Protocol):
    """A layer: integers (N, inputs) in float tensors to integers (N, outputs)."""

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Compute a batch."""
        ...


class Linear:
    """Product with an integer matrix.

    Args:
        weights: (MW, MH).
        magnitude: greatest absolute input.

    Raises:
        HwflowError: a sum could exceed 53 bits.
    """

    def __init__(self, weights: Integers, magnitude: int) -> None:
        bound = int(np.abs(weights).sum(axis=0).max()) * magnitude
        kinds = [kind for kind, limit in EXACT.items() if bound < limit]
        if not kinds:
            raise HwflowError(f"an accumulator of up to {bound} exceeds 53 bits")
        self.kind = kinds[0]
        self.weights = torch.as_tensor(weights, dtype=self.kind)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, MW) to (N, MH)."""
        return inputs.to(self.kind) @ self.weights


class UniformSteps:
    """One step function for all channels: a table over every input.

    Args:
        thresholds: (K,) ascending.
        low, high: range of the inputs.
        values: (K + 1,) the output after each number of steps.
    """

    def __init__(self, thresholds: Integers, low: int, high: int, values: Integers) -> None:
        steps = np.searchsorted(thresholds, np.arange(low, high + 1), side="right")
        self.table = torch.as_tensor(values[steps], dtype=torch.float32)
        self.low = low

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, C) to (N, C)."""
        index = inputs.to(torch.int32)
        if self.low:
            index = index - self.low
        return self.table.index_select(0, index.reshape(-1)).reshape(inputs.shape)


class Steps:
    """A step function for each channel.

    Args:
        thresholds: (C, K) ascending in each channel.
        magnitude: greatest absolute input or threshold.
        base, factor: the output is base + factor * steps.
    """

    def __init__(self, thresholds: Integers, magnitude: int, base: int, factor: int) -> None:
        self.kind = torch.float32 if magnitude < EXACT[torch.float32] else torch.float64
        self.few = thresholds.shape[1] <= FEW_STEPS
        columns = thresholds.T if self.few else thresholds
        self.thresholds = torch.as_tensor(columns.copy(), dtype=self.kind)
        self.base, self.factor = base, factor

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, C) to (N, C)."""
        inputs = inputs.to(self.kind)
        if self.few:
            steps = torch.full(inputs.shape, float(self.base), dtype=torch.float32)
            for threshold in self.thresholds:
                steps.add_(inputs >= threshold, alpha=self.factor)
            return steps
        found = torch.searchsorted(self.thresholds, inputs.T.contiguous(), right=True)
        return (found.T * self.factor + self.base).to(torch.float32)


class ArgMax:
    """Index of the greatest number plus bias; the lowest among equals."""

    def __init__(self, bias: Integers) -> None:
        self.bias = bias

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, Labels) to (N, 1)."""
        sums = inputs.numpy().astype(np.int64) + self.bias
        return torch.as_tensor(np.argmax(sums, axis=1)[:, None], dtype=torch.float32)


# ---------------------------------------------------------------------- from hardware layers


def _initializer(model: ModelWrapper, name: str) -> Integers:
    values = model.get_initializer(name)
    if values is None or not np.array_equal(values, np.rint(values)):
        raise HwflowError(f"{name}: the hardware graph has parameters that are no integers")
    return values.astype(np.int64)


def _magnitude(datatype: Any) -> int:
    return int(max(abs(datatype.min()), abs(datatype.max())))


def _linear(model: ModelWrapper, node: Any) -> Layer:
    if not getCustomOp(node).get_nodeattr("noActivation"):
        raise HwflowError(f"{node.name}: a linear layer with thresholds inside is not emulated")
    magnitude = _magnitude(model.get_tensor_datatype(node.input[0]))
    return Linear(_initializer(model, node.input[1]), magnitude)


def _thresholding(model: ModelWrapper, node: Any) -> Layer:
    layer, datatype = getCustomOp(node), model.get_tensor_datatype(node.input[0])
    thresholds = _initializer(model, node.input[1])
    bipolar = layer.get_output_datatype() == DataType["BIPOLAR"]
    base, factor = (-1, 2) if bipolar else (int(layer.get_nodeattr("ActVal")), 1)
    low, high = int(datatype.min()), int(datatype.max())
    if len(thresholds) == 1 and high - low < TABLE:
        values = base + factor * np.arange(thresholds.shape[1] + 1)
        return UniformSteps(thresholds[0], low, high, values)
    thresholds = np.broadcast_to(
        thresholds, (layer.get_nodeattr("NumChannels"), thresholds.shape[1])
    )
    magnitude = max(_magnitude(datatype), int(np.abs(thresholds).max()))
    return Steps(thresholds, magnitude, base, factor)


def _label_select(model: ModelWrapper, node: Any) -> Layer:
    bias = np.zeros(getCustomOp(node).get_nodeattr("Labels"), np.int64)
    return ArgMax(_initializer(model, node.input[1]).reshape(-1) if len(node.input) > 1 else bias)


LAYERS = {
    "MVAU": _linear,
    "XnorMVAU": _linear,
    "Thresholding": _thresholding,
    "LabelSelect": _label_select,
}
# These move integers and change none.
TRANSPARENT = frozenset({"StreamingFIFO", "WidthConverter"})
