"""The software reference: a QONNX graph evaluated in float64, in batches.

Hardware is compared with this, not with a float32 run, so that the software's own rounding can
never pose as a hardware error. A quantized tensor is kept as what it is, integer codes and a
scale: the product of two of them is an exact integer accumulation times the product of the
scales, as the quantized network is defined (Jacob et al. 2018, section 2.2), and only what
follows (batch norm, activation) is float64 arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from hwflow.errors import HwflowError
from hwflow.exchange.averages import (
    average_pool,
    global_average_pool,
    reduce_mean,
    resize,
    trunc,
    upsample,
)
from hwflow.exchange.images import concat, conv, max_pool
from hwflow.exchange.values import (
    EXACT,
    SAME_SCALE,
    Float,
    Quantized,
    Value,
    quantizer_range,
    real,
    rounding,
)

# Logits of a sample that differ by this share of the greatest are equal but for rounding.
EQUAL = 2.0**-40


@dataclass
class Trace:
    """What a run of the reference produced.

    Attributes:
        logits: network output, (N, classes).
        margin: (N,) how near any activation of the sample comes to a rounding step, in steps;
            where it is tiny, float32 may round to the other side.
        codes: integer codes of each quantizer's output, by tensor name, (N, ...).
    """

    logits: Float
    margin: Float
    codes: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def classes(self, count: int = 1) -> NDArray[np.int64]:
        """The classes of the greatest logits in order, (N, count); of equal logits the class of the
        lowest number first.

        Logits are equal where only the rounding of float64 can have told them apart.
        """
        order = np.argsort(-self.logits, axis=1, kind="stable")
        ranked = np.take_along_axis(self.logits, order, axis=1)
        apart = EQUAL * np.abs(self.logits).max(axis=1, initial=0.0, keepdims=True)
        falls = -np.diff(ranked, axis=1, prepend=ranked[:, :1]) > apart
        ties = np.lexsort((order, np.cumsum(falls, axis=1)), axis=1)
        return np.take_along_axis(order, ties, axis=1)[:, :count]


class Reference:
    """Evaluates a QONNX network of linear and convolutional layers, elementwise operations, pools,
    sums, concatenations, upsampling and quantizers.

    Args:
        model: QONNX file or model, cleaned (shapes inferred, one input, one output).

    Raises:
        HwflowError: an operation is not one of those that `OPERATIONS` lists.
    """

    def __init__(self, model: Path | onnx.ModelProto) -> None:
        self.model = onnx.load(str(model)) if isinstance(model, Path) else model
        graph = self.model.graph
        self.input = graph.input[0].name
        self.output = graph.output[0].name
        self.parameters: dict[str, Value] = {
            t.name: np.asarray(numpy_helper.to_array(t), np.float64) for t in graph.initializer
        }
        self.nodes: list[onnx.NodeProto] = []
        for node in graph.node:
            if node.op_type not in OPERATIONS:
                raise HwflowError(
                    f"{node.name or node.output[0]}: the operation {node.op_type} is not supported"
                    " in a quantized network",
                    hint=f"supported are {', '.join(sorted(OPERATIONS))}",
                )
            if all(name in self.parameters for name in node.input if name):
                self.parameters[node.output[0]] = evaluate(node, self.operands(node, {}))
            else:
                self.nodes.append(node)

    @staticmethod
    def knows(model: onnx.ModelProto) -> bool:
        """Whether all operations of a network are known."""
        return all(node.op_type in OPERATIONS for node in model.graph.node)

    def operands(self, node: onnx.NodeProto, values: dict[str, Value]) -> list[Value]:
        """The values of a node's inputs: activations from `values`, else parameters."""
        return [
            values[name] if name in values else self.parameters[name] for name in node.input if name
        ]

    def run(self, inputs: NDArray[np.floating], *, batch: int = 1000) -> Trace:
        """Evaluate the network.

        Args:
            inputs: real-valued network inputs, (N, *shape).
            batch: samples evaluated at a time.

        Returns:
            The logits and the codes at each activation quantizer, all N samples.
        """
        traces = [
            self._run_batch(np.asarray(inputs[i : i + batch], np.float64))
            for i in range(0, len(inputs), batch)
        ]
        return Trace(
            np.concatenate([t.logits for t in traces]),
            np.concatenate([t.margin for t in traces]),
            {
                name: np.concatenate([t.codes[name] for t in traces])
                for name in (traces[0].codes if traces else {})
            },
        )

    def _run_batch(self, inputs: Float) -> Trace:
        values: dict[str, Value] = {self.input: inputs}
        trace = Trace(inputs, np.full(len(inputs), np.inf))
        for node in self.nodes:
            operands = self.operands(node, values)
            value = evaluate(node, operands)
            values[node.output[0]] = value
            if isinstance(value, Quantized) and node.op_type in QUANTIZERS:
                trace.codes[node.output[0]] = value.codes.astype(np.int64)
            if isinstance(value, Quantized) and node.op_type in ROUNDING:
                trace.margin = np.minimum(trace.margin, rounding_margin(real(operands[0]), value))
        trace.logits = real(values[self.output])
        return trace


# ---------------------------------------------------------------------------- the operations


def evaluate(node: onnx.NodeProto, operands: list[Value]) -> Value:
    """Evaluate one node on values whose first axis is the batch."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Resize":
        attributes["sizes"] = len(node.input) > 3
    elif node.op_type == "Clip":
        attributes["unbounded"] = len(node.input) > 1 and not node.input[1]
    return OPERATIONS[node.op_type](operands, attributes)


def rounding_margin(inputs: Float, quantized: Quantized) -> Float:
    """(N,) least distance of a sample's values from where the quantizer's output changes."""
    position = (inputs / quantized.scale).reshape(len(inputs), -1)
    if quantized.bipolar:
        return np.abs(position).min(axis=1)
    lowest, highest = quantized.minimum + 0.5, quantized.maximum - 0.5
    step = np.clip(np.floor(position) + 0.5, lowest, highest)
    return np.abs(position - step).min(axis=1)


def _quant(operands: list[Value], attributes: dict) -> Value:
    inputs, scale, zero_point, bits = (real(v) for v in operands)
    if np.any(zero_point != 0):
        raise HwflowError(
            "a quantizer has a zero point other than 0", hint="use symmetric quantizers"
        )
    round_ = rounding(attributes, "ROUND")
    low, high = quantizer_range(
        int(bits.item()), bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
    )
    codes = np.clip(round_(inputs / scale), low, high)
    return Quantized(codes, scale, low, high)


def _bipolar_quant(operands: list[Value], attributes: dict) -> Value:
    inputs, scale = (real(v) for v in operands)
    return Quantized(np.where(inputs >= 0, 1.0, -1.0), scale, -1, 1, bipolar=True)


def _matmul(operands: list[Value], attributes: dict) -> Value:
    a, b = operands
    if not (isinstance(a, Quantized) and isinstance(b, Quantized)):
        return real(a) @ real(b)
    bound = np.abs(b.codes).sum(axis=0).max() * max(abs(a.minimum), abs(a.maximum))
    if bound >= EXACT:
        raise HwflowError("an accumulator exceeds 53 bits", hint="use fewer bits")
    if a.scale.size != 1:
        raise HwflowError(
            "a linear layer's input has one scale a channel", hint="scale activations per tensor"
        )
    scale = np.asarray(a.scale.reshape(()) * b.scale)
    if scale.ndim > 1:
        scale = scale.reshape(-1)
    return Quantized(a.codes @ b.codes, scale, -int(bound), int(bound))


def _gemm(operands: list[Value], attributes: dict) -> Value:
    a, b = operands[:2]
    if attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0:
        raise HwflowError("Gemm with alpha or beta other than 1 is not supported")
    if attributes.get("transB", 0):
        b = _transpose([b], {})
    product = _matmul([a, b], {})
    return product if len(operands) < 3 else _add([product, operands[2]], {})


def _add(operands: list[Value], attributes: dict) -> Value:
    a, b = operands
    if isinstance(a, Quantized) and isinstance(b, Quantized):
        near = np.abs(a.scale - b.scale) <= SAME_SCALE * np.abs(a.scale)
        if np.all(near):
            return Quantized(
                a.codes + b.codes, a.scale, a.minimum + b.minimum, a.maximum + b.maximum
            )
    return real(a) + real(b)


def _batch_norm(operands: list[Value], attributes: dict) -> Value:
    x, gamma, beta, mean, variance = (real(v) for v in operands)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    deviation = np.sqrt(variance + attributes.get("epsilon", 1e-5)).reshape(shape)
    normalised = (x - mean.reshape(shape)) / deviation
    return normalised * gamma.reshape(shape) + beta.reshape(shape)


def _transpose(operands: list[Value], attributes: dict) -> Value:
    (x,) = operands
    if not isinstance(x, Quantized):
        return np.transpose(x, attributes.get("perm"))
    scale = np.transpose(x.scale, attributes.get("perm")) if x.scale.ndim > 1 else x.scale
    return Quantized(
        np.transpose(x.codes, attributes.get("perm")), scale, x.minimum, x.maximum, x.bipolar
    )


def _flatten(operands: list[Value], attributes: dict) -> Value:
    if attributes.get("axis", 1) != 1:
        raise HwflowError("Flatten of other axes than all but the first is not supported")
    return _reshaped(operands[0], (-1,))


def _reshape(operands: list[Value], attributes: dict) -> Value:
    x, target = operands
    sizes = [int(size) for size in real(target)[1:]]
    given = real(x).shape[1:]
    return _reshaped(x, tuple(size or given[axis] for axis, size in enumerate(sizes)))


def _reshaped(x: Value, sample: tuple[int, ...]) -> Value:
    """`x` with samples of another shape."""
    if not isinstance(x, Quantized):
        return x.reshape(len(x), *sample)
    codes = x.codes.reshape(len(x.codes), *sample)
    scale = x.scale
    if scale.size > 1:
        scale = np.broadcast_to(scale, (1, *x.codes.shape[1:])).reshape(1, *codes.shape[1:])
    return Quantized(codes, scale, x.minimum, x.maximum, x.bipolar)


def _identity(operands: list[Value], attributes: dict) -> Value:
    return operands[0]


def _elementwise(operation: Callable[..., Float]) -> Callable[[list[Value], dict], Value]:
    return lambda operands, attributes: operation(*(real(v) for v in operands))


def _relu(operands: list[Value], attributes: dict) -> Value:
    return np.maximum(real(operands[0]), 0.0)


def _clip(operands: list[Value], attributes: dict) -> Value:
    bounds: list[Any] = [real(v) for v in operands[1:]]
    if attributes.get("unbounded"):  # An upper bound only.
        bounds.insert(0, -np.inf)
    low = bounds[0] if bounds else attributes.get("min", -np.inf)
    high = bounds[1] if len(bounds) > 1 else attributes.get("max", np.inf)
    return np.clip(real(operands[0]), low, high)


def _leaky_relu(operands: list[Value], attributes: dict) -> Value:
    x = real(operands[0])
    return np.where(x < 0, x * attributes.get("alpha", 0.01), x)


def _sigmoid(operands: list[Value], attributes: dict) -> Value:
    return 1 / (1 + np.exp(-real(operands[0])))


QUANTIZERS = frozenset({"Quant", "BipolarQuant", "Trunc"})
# Trunc rounds to a code first, which no float run misses.
ROUNDING = QUANTIZERS - {"Trunc"}
# Every one is monotone in each of its operands, which thresholds rely on.
ELEMENTWISE = frozenset(
    {
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Neg",
        "BatchNormalization",
        "Relu",
        "LeakyRelu",
        "Clip",
        "Sigmoid",
        "Tanh",
    }
)
OPERATIONS: dict[str, Callable[[list[Value], dict], Value]] = {
    "Quant": _quant,
    "BipolarQuant": _bipolar_quant,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Add": _add,
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(np.divide),
    "BatchNormalization": _batch_norm,
    "Neg": _elementwise(np.negative),
    "Relu": _relu,
    "LeakyRelu": _leaky_relu,
    "Clip": _clip,
    "Sigmoid": _sigmoid,
    "Tanh": _elementwise(np.tanh),
    "Trunc": trunc,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Identity": _identity,
    "Dropout": _identity,
    "Conv": conv,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "ReduceMean": reduce_mean,
    "Resize": resize,
    "Upsample": upsample,
    "Concat": concat,
}
