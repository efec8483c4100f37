"""Files that were exported for one sample, for several at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from hwflow.exchange.operations import operation_of
from hwflow.exchange.translation.nodes import read_node


class _Frames:
    """What a file's operations are asked about: see `operation.Frames`."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.values = {tensor.name: tensor for tensor in model.graph.initializer}
        self.fixed = set(self.values)

    def is_fixed(self, name: str) -> bool:
        """Whether a tensor does not depend on the input."""
        return name in self.fixed

    def initializer(self, name: str) -> NDArray[Any] | None:
        """The value of an initializer."""
        tensor = self.values.get(name)
        return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))


def fits_batches(model: onnx.ModelProto) -> bool:
    """Whether a file made for one sample computes the same of each of several.

    Attention and unrolled recurrent layers move samples about, or have a first state for each.
    """
    frames = _Frames(model)
    for node in model.graph.node:
        if all(name in frames.fixed for name in node.input if name):
            frames.fixed.update(node.output)
        elif not operation_of(node).batching.fits(read_node(node), frames):
            return False
    return True


def batched(model: onnx.ModelProto, count: int) -> onnx.ModelProto:
    """The same for `count` samples, in place; only where `fits_batches`."""
    parameters = {tensor.name for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        if value.name not in parameters and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = count
    return _reshaped(model, lambda first: count)


def any_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same for any number of samples, in place; only where `fits_batches`."""
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "N"
    return _reshaped(model, lambda first: -1 if first == -1 else 0)  # 0: as many as come.


def _reshaped(model: onnx.ModelProto, first: Callable[[int], int]) -> onnx.ModelProto:
    """The same with other sizes of the first axis in the shapes that activations are given.

    A shape that a constant is given too stays as it is there.
    """
    del model.graph.value_info[:]
    frames = _Frames(model)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for number, node in enumerate(model.graph.node):
        if all(name in frames.fixed for name in node.input if name):
            frames.fixed.update(node.output)
            continue
        index = operation_of(node).batching.shape
        if index is None:
            continue
        shape = numpy_helper.to_array(tensors[node.input[index]]).astype(np.int64)
        shape[0] = first(int(shape[0]))
        node.input[index] = f"{node.input[index]}_frames{number}"
        model.graph.initializer.append(numpy_helper.from_array(shape, node.input[index]))
    return model
