"""What a file computes without its input: parameters, as real numbers or, of weights and biases,
as the integers and scales that they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwflow.errors import RequestError
from hwflow.exchange.values import Quantized, quantizer_range, rounding

Constant = NDArray[Any] | Quantized
# Operations that move numbers about and change none.
MOVES = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast"})


class Constants:
    """The constants of a file by name.

    Args:
        model: the file.
        opset: of ONNX's own operations.
    """

    def __init__(self, model: onnx.ModelProto, opset: int) -> None:
        self.opset = opset
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

    def evaluate(self, node: onnx.NodeProto, attributes: Mapping[str, Any]) -> None:
        """Compute a node all of whose inputs are constants.

        Raises:
            RequestError: it can't be done, or a quantizer is none that hardware knows.
        """
        operands = [self.values[name] for name in node.input]
        kind = node.op_type
        if kind in {"Quant", "IntQuant"}:
            made: Constant = quantized_constant(node, operands, attributes)
        elif kind == "BipolarQuant":
            made = _bipolar(operands)
        elif kind == "DequantizeLinear":
            made = _dequantized(operands, attributes)
        elif kind in MOVES and isinstance(operands[0], Quantized):
            made = self._moved(node, operands)
        elif kind in {"Mul", "Div"} and sum(isinstance(x, Quantized) for x in operands) == 1:
            made = self._scaled(node, operands)
        else:
            self._run(node)
            return
        self.values[node.output[0]] = made

    def _run(self, node: onnx.NodeProto) -> None:
        found = self._results(node, [self.real(name) for name in node.input if name])
        for name, value in zip(node.output, found, strict=False):
            self.values[name] = np.asarray(value)

    def _results(self, node: onnx.NodeProto, operands: list[NDArray[Any]]) -> list[Any]:
        """The outputs of one of ONNX's own operations."""
        from onnx.reference import ReferenceEvaluator

        names = [name for name in node.input if name]
        given = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in dict(zip(names, operands, strict=True)).items()
        ]
        made = [
            helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
            for name in node.output
            if name
        ]
        graph = helper.make_graph([node], "constant", given, made)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        try:
            found: Any = ReferenceEvaluator(model).run(
                None, dict(zip(names, operands, strict=True))
            )
        except Exception as error:  # onnx raises whatever it runs into.
            raise RequestError(
                f"{node.name}: the constant {node.op_type} can't be computed:"
                f" {type(error).__name__}: {error}",
                hint="simplify the model, for example with onnx-simplifier, and export it again",
            ) from error
        return list(found)

    def _moved(self, node: onnx.NodeProto, operands: list[Constant]) -> Quantized:
        x = operands[0]
        assert isinstance(x, Quantized)
        rest = [self.real(name) for name in node.input[1:]]
        codes = self._results(node, [x.codes, *rest])[0]
        scale = np.broadcast_to(x.scale, x.codes.shape)
        scales = self._results(node, [scale, *rest])[0]
        return Quantized(codes, narrowest(scales), x.minimum, x.maximum, x.bipolar)

    def _scaled(self, node: onnx.NodeProto, operands: list[Constant]) -> Constant:
        """Integers and scale times a real constant: the same integers at another scale."""
        a, b = operands
        if isinstance(b, Quantized) and node.op_type == "Div":
            return self._results(node, [self.real(name) for name in node.input])[0]
        x, factor = (a, b) if isinstance(a, Quantized) else (b, a)
        assert isinstance(x, Quantized)
        assert not isinstance(factor, Quantized)
        factor = 1 / factor.astype(np.float64) if node.op_type == "Div" else factor
        if np.any(factor <= 0) or np.broadcast_shapes(factor.shape, x.codes.shape) != x.codes.shape:
            return x.value * factor
        scale = np.broadcast_to(x.scale * factor, x.codes.shape)
        return Quantized(x.codes, narrowest(scale), x.minimum, x.maximum, x.bipolar)


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


# ------------------------------------------------------------------------------- quantizers


def single(node: onnx.NodeProto, values: Any, what: str) -> float:
    """The one value of a constant that may be repeated.

    Raises:
        RequestError: there are several.
    """
    found = np.unique(np.asarray(values, np.float64))
    if len(found) != 1:
        raise RequestError(
            f"{node.name}: the quantizer has {len(found)} different {what}",
            hint=f"quantize a tensor with one {what.rstrip('s')}",
        )
    return float(found[0])


def bit_width(node: onnx.NodeProto, values: Any) -> int:
    """The bits of a quantizer, be they integer or floating-point numbers.

    Raises:
        RequestError: there are several, or no whole number of them.
    """
    bits = single(node, values, "bit widths")
    if bits != int(bits) or bits < 1:
        raise RequestError(
            f"{node.name}: the quantizer has {bits:g} bits",
            hint="export with bit widths that are whole numbers",
        )
    return int(bits)


def check_scale(node: onnx.NodeProto, scale: NDArray[Any]) -> None:
    """Refuse scales that are not positive."""
    if not np.all(np.isfinite(scale)) or np.any(scale <= 0):
        raise RequestError(
            f"{node.name}: the quantizer has a scale that is not positive",
            hint="quantize with positive scales",
        )


def quantized_constant(
    node: onnx.NodeProto, operands: list[Constant], attributes: Mapping[str, Any]
) -> Quantized:
    """QONNX's Quant of a constant: rounded in float32, as the file's execution does it."""
    values, scale, zero_point, bits = (_float32(x) for x in operands)
    check_scale(node, scale)
    width, zero = bit_width(node, bits), single(node, zero_point, "zero points")
    signed = bool(attributes.get("signed", 1))
    if width == 1 and signed:
        return _bipolar([values, scale])
    low, high = quantizer_range(width, signed, bool(attributes.get("narrow", 0)))
    round_ = rounding(dict(attributes), "ROUND")
    codes = round_(np.clip(values / scale + np.float32(zero), low, high))
    shift = int(zero)
    return Quantized(
        codes.astype(np.float64) - shift, narrowest(_double(scale)), low - shift, high - shift
    )


def _bipolar(operands: list[Constant]) -> Quantized:
    values, scale = (_float32(x) for x in operands)
    codes = np.where(values >= 0, 1.0, -1.0)
    return Quantized(codes, narrowest(_double(scale)), -1, 1, bipolar=True)


def _dequantized(operands: list[Constant], attributes: Mapping[str, Any]) -> Quantized:
    """DequantizeLinear of constant integers."""
    codes = np.asarray(_plain(operands[0]), np.float64)
    scale = _double(_plain(operands[1]))
    zero = np.asarray(_plain(operands[2]), np.float64) if len(operands) > 2 else np.zeros(())
    if zero.size == 0:
        zero = np.zeros(())
    scale, zero = (along_axis(x, codes.ndim, attributes) for x in (scale, zero))
    codes = codes - zero
    low, high = min(int(codes.min()), 0), max(int(codes.max()), 0)
    return Quantized(codes, narrowest(scale), low, high)


def along_axis(values: NDArray[Any], rank: int, attributes: Mapping[str, Any]) -> NDArray[Any]:
    """Parameters of QuantizeLinear and DequantizeLinear, one a slice of an axis, to broadcast."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * rank
    axis = attributes.get("axis", 1)
    shape[axis if axis < 0 else min(axis, rank - 1)] = values.size
    return values.reshape(shape)


def _plain(value: Constant) -> NDArray[Any]:
    return value.value if isinstance(value, Quantized) else value


def _float32(value: Constant) -> NDArray[np.float32]:
    return np.asarray(_plain(value), np.float32)


def _double(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)
