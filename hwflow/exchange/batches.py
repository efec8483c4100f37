"""Files that were exported for one sample, for several at a time."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

# Operations that treat each sample by itself, the first axis being that of samples.
_BY_SAMPLE = frozenset(
    {
        *("Quant", "IntQuant", "BipolarQuant", "FloatQuant", "Trunc"),
        *("QuantizeLinear", "DequantizeLinear", "Clip", "Cast"),
        *("Conv", "ConvTranspose", "Gemm", "BatchNormalization"),
        *("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "ReduceMean"),
        *("Add", "Sub", "Mul", "Div", "Sqrt", "Pow", "Erf", "Floor", "Round", "Ceil"),
        *("Exp", "Log", "Abs", "Neg", "Min", "Max", "Where", "GreaterOrEqual"),
        *("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "HardSwish", "Elu", "Gelu"),
        *("Flatten", "Identity", "Pad"),
    }
)
# Operations along one axis, and which that is if the node does not say.
_ALONG = {
    "Concat": 0,
    "ArgMax": 0,
    "Gather": 0,
    "Softmax": -1,
    "LogSoftmax": -1,
    "LayerNormalization": -1,
    "TopK": -1,
}


def fits_batches(model: onnx.ModelProto) -> bool:
    """Whether a file made for one sample computes the same of each of several.

    Attention and unrolled recurrent layers move samples about, or have a first state for each.
    """
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    fixed = set(values)  # what does not depend on the input
    for node in model.graph.node:
        if all(name in fixed for name in node.input if name):
            fixed.update(node.output)
        elif not _by_sample(node, fixed, values):
            return False
    return True


def _by_sample(node: onnx.NodeProto, fixed: set[str], values: dict[str, onnx.TensorProto]) -> bool:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Transpose":
        return attributes.get("perm", [1])[0] == 0
    if node.op_type == "MatMul":
        return node.input[1] in fixed
    if node.op_type in _ALONG:
        return attributes.get("axis", _ALONG[node.op_type]) != 0
    if node.op_type == "Reshape":
        shape = values.get(node.input[1])
        return shape is not None and numpy_helper.to_array(shape)[0] in (-1, 0, 1)
    return node.op_type in _BY_SAMPLE


def batched(model: onnx.ModelProto, count: int) -> onnx.ModelProto:
    """The same for `count` samples, in place; only where `fits_batches`."""
    parameters = {tensor.name for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        if value.name not in parameters and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = count
    del model.graph.value_info[:]
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            shape = numpy_helper.to_array(tensor).copy()
            shape[0] = count
            tensor.CopyFrom(numpy_helper.from_array(shape.astype(np.int64), tensor.name))
    return model


def any_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same for any number of samples, in place; only where `fits_batches`."""
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "N"
    del model.graph.value_info[:]
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            shape = numpy_helper.to_array(tensor).copy()
            shape[0] = -1 if shape[0] == -1 else 0  # 0: as many as come.
            tensor.CopyFrom(numpy_helper.from_array(shape.astype(np.int64), tensor.name))
    return model
