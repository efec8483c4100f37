"""Linear and convolutional layers as products of integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from hwflow.dataflow import layers
from hwflow.dataflow.graph import MOST_BITS, HardwareGraph, Integers, Shape
from hwflow.dataflow.rules.rule import Rule
from hwflow.dataflow.windows import attributes_of, geometry, padded, slid
from hwflow.dataflow.wires import Function, Wire, channel_grid, tensor_shape
from hwflow.errors import HwflowError
from hwflow.exchange.reference import Quantized, Reference, Value, evaluate, real
from hwflow.kernels.integer_types import integer_type


def linear(graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire) -> Wire:
    """A MatMul or Gemm of vectors with quantized weights: one product.

    A flattened image comes channels last: the rows of its weights are put in that order.

    Raises:
        HwflowError: weights or input are not quantized as hardware multiplies them.
    """
    if len(wire.shape) != 1:
        raise HwflowError(
            f"{node.name}: {node.op_type} of an image can't be lowered",
            hint="put Flatten before the linear layer",
        )
    operands = _Operands.of(reference, node, wire)
    transposed = node.op_type == "Gemm" and attributes_of(node).get("transB", 0)
    matrix = operands.codes.T if transposed else operands.codes
    low, high = _range(matrix, wire.low, wire.high)
    shape = (matrix.shape[1],)
    name = layers.product(
        graph,
        wire.name,
        matrix if wire.order is None else matrix[wire.order],
        (1, *shape),
        integer_type(int(low.min()), int(high.max())),
        binary=operands.weights.bipolar,
        name=node.name,
    )
    scale = operands.scale.reshape(-1) if operands.scale.size > 1 else operands.scale
    function = operands.function(scale, low, high)
    return Wire(name, shape, shape, low, high, function, maker=len(graph.nodes) - 1)


def convolution(
    graph: HardwareGraph, reference: Reference, node: onnx.NodeProto, wire: Wire
) -> Wire:
    """A convolution over one or two axes as padding, windows and a product.

    Taken are any kernel, stride, dilation and padding with zeros, and as many groups as channels
    (depthwise) or one.

    Raises:
        HwflowError: weights or input are not quantized as hardware multiplies them, or other
            groups.
    """
    operands = _Operands.of(reference, node, wire)
    weights = operands.codes
    windows = geometry(node, weights.shape[2:], wire.shape)
    depthwise = _is_depthwise(node, weights, wire.shape[0])
    low, high = wire.low, wire.high
    if windows.is_padded:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    tensor = padded(graph, wire.name, windows, name=node.name)
    if depthwise or not windows.is_whole:
        tensor = slid(graph, tensor, windows, depthwise=depthwise, name=node.name)
    shape = (len(weights), *windows.out[: len(wire.shape) - 1])
    kernels = weights.reshape(*weights.shape[:2], *windows.kernel)
    build = _depthwise if depthwise else _dense
    name, low, high = build(graph, tensor, kernels, shape, low, high, operands, node.name)
    scale = operands.scale
    if scale.size > 1:
        scale = scale.reshape(-1, *(1 for _ in shape[1:]))
    function = operands.function(scale, low, high)
    return Wire(name, shape, channel_grid(shape), low, high, function, maker=len(graph.nodes) - 1)


def _dense(
    graph: HardwareGraph,
    tensor: str,
    kernels: Integers,
    shape: Shape,
    low: Integers,
    high: Integers,
    operands: _Operands,
    name: str,
) -> tuple[str, Integers, Integers]:
    """The product of windows, taps in the order row, column, channel, and (O, C, kh, kw)."""
    matrix = kernels.transpose(2, 3, 1, 0).reshape(-1, len(kernels))
    taps = matrix.shape[0] // kernels.shape[1]
    low, high = _range(matrix, np.tile(low, taps), np.tile(high, taps))
    product = layers.product(
        graph,
        tensor,
        matrix,
        tensor_shape(shape, image=True),
        integer_type(int(low.min()), int(high.max())),
        binary=operands.weights.bipolar,
        name=name,
    )
    return product, low, high


def _depthwise(
    graph: HardwareGraph,
    tensor: str,
    kernels: Integers,
    shape: Shape,
    low: Integers,
    high: Integers,
    operands: _Operands,
    name: str,
) -> tuple[str, Integers, Integers]:
    """The product of each channel's windows with its own weights, (C, 1, kh, kw)."""
    positive = np.maximum(kernels, 0).reshape(len(kernels), -1).sum(axis=1)
    negative = np.minimum(kernels, 0).reshape(len(kernels), -1).sum(axis=1)
    low, high = low * positive + high * negative, high * positive + low * negative
    product = layers.depthwise_product(
        graph,
        tensor,
        kernels,
        tensor_shape(shape, image=True),
        integer_type(int(low.min()), int(high.max())),
        binary=operands.weights.bipolar,
        name=name,
    )
    return product, low, high


def _is_depthwise(node: onnx.NodeProto, weights: Integers, channels: int) -> bool:
    groups = int(attributes_of(node).get("group", 1))
    if groups == 1:
        return False
    if groups == channels == len(weights):
        return True
    raise HwflowError(
        f"{node.name}: a convolution of {groups} groups from {channels} to {len(weights)} channels"
        " can't be lowered",
        hint="use one group, or a depthwise convolution (a group for each channel) that keeps the"
        " channels",
    )


def _range(matrix: Integers, low: Integers, high: Integers) -> tuple[Integers, Integers]:
    """Least and greatest sum of each column of a matrix with inputs in a range."""
    positive, negative = np.maximum(matrix, 0), np.minimum(matrix, 0)
    return low @ positive + high @ negative, high @ positive + low @ negative


@dataclass(frozen=True)
class _Operands:
    """What a layer multiplies.

    Attributes:
        weights: quantized.
        codes: of the weights.
        scale: of the sums: of the input times of the weights.
        bias: real or quantized; None: none.
    """

    weights: Quantized
    codes: Integers
    scale: np.ndarray
    bias: Value | None

    @classmethod
    def of(cls, reference: Reference, node: onnx.NodeProto, wire: Wire) -> _Operands:
        """Those of a node.

        Raises:
            HwflowError: they are not quantized as hardware multiplies them.
        """
        sample = wire.at(wire.low[None])
        operands = reference.operands(node, {node.input[0]: sample})
        weights = operands[1]
        if not isinstance(weights, Quantized):
            raise HwflowError(
                f"{node.name}: the weights are not quantized", hint="quantize every linear layer"
            )
        if wire.mixed is not None:
            raise HwflowError(
                f"{wire.mixed}: concatenates codes of different scales, of which {node.name} can't"
                " make products",
                hint="let all that is concatenated go through one and the same quantizer",
            )
        if not isinstance(sample, Quantized) or wire.nodes or not wire.is_code:
            since = f": it comes from {', '.join(wire.nodes)}" if wire.nodes else ""
            raise HwflowError(
                f"{node.name}: its input is not quantized{since}",
                hint="put a quantizer in front of the layer, with one scale for all channels",
            )
        codes = weights.codes.astype(np.int64)
        for what, low, high in (
            ("weights", int(codes.min()), int(codes.max())),
            ("input", int(wire.low.min()), int(wire.high.max())),
        ):
            bits = integer_type(low, high).bitwidth()
            if bits > MOST_BITS:
                raise HwflowError(
                    f"{node.name}: its {what} of {bits} bits can't be multiplied in hardware",
                    hint=f"use up to {MOST_BITS} bits, by a quantizer in front of the layer"
                    if what == "input"
                    else f"use weights of up to {MOST_BITS} bits",
                )
        scale = np.asarray(sample.scale.reshape(()) * weights.scale)
        if scale.size == 1:
            scale = scale.reshape(())
        return cls(weights, codes, scale, operands[2] if len(operands) > 2 else None)

    def function(self, scale: np.ndarray, low: Integers, high: Integers) -> Function:
        """The real value of sums, bias added."""
        bounds = int(low.min()), int(high.max())
        bias = self.bias

        def value(n: Integers) -> Value:
            product = Quantized(n.astype(np.float64), scale, *bounds)
            if bias is None:
                return product
            if n.ndim == 2:
                return evaluate(helper.make_node("Add", ["a", "b"], ["c"]), [product, bias])
            return product.value + real(bias).reshape(-1, *(1 for _ in n.shape[2:]))

        return value


RULES = (
    Rule("linear", lower=linear),
    Rule("convolution", lower=convolution),
)
