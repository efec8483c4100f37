"""What a file computes without its input: parameters, as real numbers or, of weights and biases,
as the integers and scales that they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwflow.errors import RequestError
from hwflow.exchange.domains import opset
from hwflow.exchange.translation.nodes import Node
from hwflow.exchange.values import Quantized

Constant = NDArray[Any] | Quantized


class Constants:
    """The constants of a file by name.

    Args:
        model: the file.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.opset = opset(model)
        self.values: dict[str, Constant] = {"": np.zeros(0)}
        annotated = _annotated_types(model)
        for tensor in model.graph.initializer:
            values = np.asarray(numpy_helper.to_array(tensor))
            self.values[tensor.name] = _typed(values, annotated.get(tensor.name))

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def real(self, name: str) -> NDArray[Any]:
        """The real values of a constant."""
        value = self.values[name]
        return value.value if isinstance(value, Quantized) else value

    def integers(self, name: str) -> list[int]:
        """A constant of integers, such as a shape, as a list."""
        return [int(n) for n in np.asarray(self.real(name)).reshape(-1)]

    def operands(self, node: Node) -> list[Constant]:
        """The values of a node's operands, all of them constants; of those left out, no numbers."""
        return [self.values[name] for name in node.inputs]

    def computed(self, node: Node) -> list[NDArray[Any]]:
        """The outputs of one of ONNX's own operations on constants.

        Raises:
            RequestError: it can't be computed.
        """
        return self.results(node, [self.real(name) for name in node.inputs if name])

    def results(self, node: Node, operands: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """The same of other values than its own operands'."""
        from onnx.reference import ReferenceEvaluator

        names = [name for name in node.inputs if name]
        inputs = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in dict(zip(names, operands, strict=True)).items()
        ]
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
            for name in node.proto.output
            if name
        ]
        graph = helper.make_graph([node.proto], "constant", inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        try:
            results: Any = ReferenceEvaluator(model).run(
                None, dict(zip(names, operands, strict=True))
            )
        except Exception as error:  # onnx raises whatever it runs into.
            raise RequestError(
                f"{node.name}: the constant {node.kind} can't be computed:"
                f" {type(error).__name__}: {error}",
                hint="simplify the model, for example with onnx-simplifier, and export it again",
            ) from error
        return [np.asarray(value) for value in results]


def narrowest(values: NDArray[Any]) -> NDArray[Any]:
    """The smallest array that broadcasts to the same: axes along which nothing changes get size 1;
    one value becomes a scalar."""
    values = np.asarray(values)
    for axis in range(values.ndim):
        first = np.take(values, [0], axis=axis)
        if np.all(values == first):
            values = first
    return values.reshape(()) if values.size == 1 else values


def _annotated_types(model: onnx.ModelProto) -> dict[str, str]:
    """FINN's and QONNX's datatypes, by tensor."""
    return {
        annotation.tensor_name: entry.value
        for annotation in model.graph.quantization_annotation
        for entry in annotation.quant_parameter_tensor_names
        if entry.key == "finn_datatype"
    }


def _typed(values: NDArray[Any], datatype: str | None) -> Constant:
    """A parameter whose datatype says that its floats are integers: those integers."""
    if datatype is None or values.dtype.kind != "f" or not values.size:
        return values
    from qonnx.core.datatype import DataType

    kind = DataType[datatype]
    if not kind.is_integer() or np.any(values != np.rint(values)):
        return values
    bipolar = datatype == "BIPOLAR"
    codes = values.astype(np.float64)
    return Quantized(codes, np.asarray(1.0), int(kind.min()), int(kind.max()), bipolar)
