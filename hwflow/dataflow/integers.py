"""From a quantized real-valued graph (QONNX) to a graph of integers only.

The input is a chain of linear layers, elementwise operations and quantizers; the output computes
on integer codes: MatMul on integers, MultiThreshold with exact thresholds in place of everything
between an accumulator and the next quantizer, and at the end the class of the greatest logit.
Scales disappear: they are in the thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.dataflow.thresholds import Integers, step_thresholds
from hwflow.errors import HwflowError
from hwflow.exchange.reference import (
    ELEMENTWISE,
    QUANTIZERS,
    Float,
    Quantized,
    Reference,
    Value,
    evaluate,
    real,
)

INPUT, OUTPUT = "codes", "label"
# A fold of the last bias into accumulator units may be off by float32 rounding, not by more.
BIAS_TOLERANCE = 1e-3


@dataclass(frozen=True)
class InputCode:
    """What the accelerator's input numbers mean: real value = scale * code + offset."""

    scale: float
    offset: float
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Wire:
    """An integer tensor of the new graph, and the real tensor of the old one that it stands for.

    Attributes:
        name: tensor in the new graph.
        low, high: (C,) range of each channel's integers.
        function: maps integers (N, C) to the real or quantized values (N, C) of the old tensor.
        layer: index in the new graph of the MatMul that made it, if any.
        nodes: names of the old nodes since the integers were made, for messages.
    """

    name: str
    low: Integers
    high: Integers
    function: Callable[[Integers], Value]
    layer: int | None = None
    nodes: tuple[str, ...] = ()
    bipolar: bool = False


def integer_type(low: int, high: int, *, bipolar: bool = False) -> Any:
    """The smallest qonnx DataType that holds [low, high]."""
    if bipolar:
        return DataType["BIPOLAR"]
    if low >= 0:
        return DataType[f"UINT{max(1, int(high).bit_length())}"]
    bits = max((-low - 1).bit_length(), int(high).bit_length()) + 1
    return DataType[f"INT{max(2, bits)}"]


class _Builder:
    """Builds the integer graph of one network."""

    def __init__(self, reference: Reference, code: InputCode | None) -> None:
        self.reference = reference
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, tuple[NDArray[Any], Any]] = {}
        self.types: dict[str, Any] = {}
        self.widths: dict[str, int] = {}
        self.steps: dict[str, str] = {}
        dimensions = reference.model.graph.input[0].type.tensor_type.shape.dim
        self.features = int(np.prod([d.dim_value for d in dimensions][1:]))
        self.wires: dict[str, Wire] = {}
        self.todo = list(reference.nodes)
        if code is None:
            self._start_after_quantizer()
        else:
            scale, offset = float(np.float32(code.scale)), float(np.float32(code.offset))

            def real(codes: Integers) -> Value:
                return codes.astype(np.float64) * scale + offset

            self._start(reference.input, code.minimum, code.maximum, real)

    def _start(
        self, tensor: str, minimum: int, maximum: int, function: Callable[[Integers], Value]
    ) -> None:
        """Begin at `tensor` of the network, whose integers the accelerator takes."""
        low, high = np.full(self.features, minimum), np.full(self.features, maximum)
        self.widths[INPUT] = self.features
        # Multipliers take no fewer than two bits.
        self.types[INPUT] = integer_type(minimum, max(maximum, 2))
        self.wires[tensor] = Wire(INPUT, low, high, function)

    def _start_after_quantizer(self) -> None:
        """Begin behind the first quantizer, which the host computes."""
        shape = [1, self.features]
        first = next(n for n in self.todo if n.op_type in QUANTIZERS)
        sample = evaluate(first, self.reference.operands(first, {first.input[0]: np.zeros(shape)}))
        assert isinstance(sample, Quantized)
        self.todo = self.todo[self.todo.index(first) + 1 :]
        self.steps[first.output[0]] = INPUT
        self._start(
            first.output[0],
            sample.minimum,
            sample.maximum,
            lambda n: Quantized(
                n.astype(np.float64), sample.scale, sample.minimum, sample.maximum, sample.bipolar
            ),
        )
        if sample.bipolar:
            self.types[INPUT] = integer_type(-1, 1, bipolar=True)

    def build(self) -> ModelWrapper:
        """The integer graph, with qonnx datatypes on every tensor."""
        for node in self.todo:
            self.wires[node.output[0]] = self._translate(node, self.wires)
        self._select_label(self.wires[self.reference.output])
        return self._model()

    def _translate(self, node: onnx.NodeProto, wires: dict[str, Wire]) -> Wire:
        sources = [name for name in node.input if name in wires]
        if len(sources) != 1:
            raise HwflowError(
                f"{node.name}: {node.op_type} of {len(sources)} activations can't be lowered",
                hint="use chains of layers",
            )
        wire = wires[sources[0]]
        if node.op_type in {"MatMul", "Gemm"}:
            return self._linear(node, wire)
        if node.op_type in QUANTIZERS:
            return self._quantizer(node, wire, sources[0])
        if node.op_type in {"Reshape", "Flatten", "Identity"}:
            return wire
        if node.op_type in ELEMENTWISE:
            return self._elementwise(node, wire, sources[0])
        raise HwflowError(
            f"{node.name}: {node.op_type} can't be lowered",
            hint="use linear layers, batch norm and quantized activations",
        )

    def _elementwise(self, node: onnx.NodeProto, wire: Wire, source: str) -> Wire:
        def function(n: Integers) -> Value:
            return evaluate(node, self.reference.operands(node, {source: wire.function(n)}))

        return replace(wire, function=function, nodes=(*wire.nodes, node.name))

    # ------------------------------------------------------------------------- linear layers

    def _linear(self, node: onnx.NodeProto, wire: Wire) -> Wire:
        sample = wire.function(wire.low[None])
        operands = self.reference.operands(node, {node.input[0]: sample})
        weights = operands[1]
        if not isinstance(weights, Quantized):
            raise HwflowError(
                f"{node.name}: the weights are not quantized", hint="quantize every linear layer"
            )
        if not isinstance(sample, Quantized) or wire.nodes:
            raise HwflowError(
                f"{node.name}: its input is not quantized",
                hint="put a quantizer in front of the layer, with one scale for all channels",
            )
        transposed = node.op_type == "Gemm" and any(
            a.name == "transB" and a.i for a in node.attribute
        )
        codes = (weights.codes.T if transposed else weights.codes).astype(np.int64)
        index = len(self.nodes)
        name, out = f"weights{index}", f"accumulator{index}"
        self._parameter(
            name,
            codes,
            integer_type(int(codes.min()), int(codes.max()), bipolar=weights.bipolar),
        )
        self.nodes.append(helper.make_node("MatMul", [wire.name, name], [out], name=node.name))
        positive, negative = np.maximum(codes, 0), np.minimum(codes, 0)
        low = wire.low @ positive + wire.high @ negative
        high = wire.high @ positive + wire.low @ negative
        self.widths[out] = codes.shape[1]
        self.types[out] = integer_type(int(low.min()), int(high.max()))
        scale = np.asarray(sample.scale * weights.scale)
        scale = scale.reshape(-1) if scale.size > 1 else scale.reshape(())

        def function(n: Integers) -> Value:
            product = Quantized(n.astype(np.float64), scale, int(low.min()), int(high.max()))
            if node.op_type == "Gemm" and len(operands) > 2:
                return evaluate(helper.make_node("Add", ["a", "b"], ["c"]), [product, operands[2]])
            return product

        return Wire(out, low, high, function, layer=index)

    def _negate(self, wire: Wire, channels: NDArray[np.bool_]) -> None:
        """Negate output channels of the layer that made `wire`: its accumulators change sign."""
        if not channels.any():
            return
        if wire.layer is None:
            raise HwflowError(
                "the network's input enters its quantizer with a negative factor",
                hint="give the input a positive scale",
            )
        name = self.nodes[wire.layer].input[1]
        weights, datatype = self.initializers[name]
        weights = np.where(channels, -weights, weights)
        bipolar = datatype == DataType["BIPOLAR"]
        self._parameter(
            name, weights, integer_type(int(weights.min()), int(weights.max()), bipolar=bipolar)
        )
        low, high = (
            np.where(channels, -wire.high, wire.low),
            np.where(channels, -wire.low, wire.high),
        )
        self.types[wire.name] = integer_type(int(low.min()), int(high.max()))

    # ---------------------------------------------------------------------------- quantizers

    def _quantizer(self, node: onnx.NodeProto, wire: Wire, source: str) -> Wire:
        def quantized(n: Integers) -> Quantized:
            value = evaluate(node, self.reference.operands(node, {source: wire.function(n)}))
            assert isinstance(value, Quantized)
            return value

        sample = quantized(wire.low[None])
        if sample.scale.size != 1:
            raise HwflowError(
                f"{node.name}: an activation quantizer with one scale a channel can't be lowered",
                hint="scale activations per tensor",
            )
        scale = sample.scale.reshape(())

        def function(n: Integers) -> Value:
            return Quantized(
                n.astype(np.float64), scale, sample.minimum, sample.maximum, sample.bipolar
            )

        if self._is_identity(quantized, wire):
            self.steps[node.output[0]] = wire.name
            return replace(wire, function=function, nodes=(), layer=None)
        codes = (sample.minimum, sample.maximum)
        as_codes = (
            (lambda n: (quantized(n).codes.astype(np.int64) + 1) // 2)
            if (sample.bipolar)
            else (lambda n: quantized(n).codes.astype(np.int64))
        )
        span = (0, 1) if sample.bipolar else codes
        steps = step_thresholds(as_codes, wire.low, wire.high, span)
        self._negate(wire, steps.negate)
        out = f"activation{len(self.nodes)}"
        self.steps[node.output[0]] = out
        thresholds = steps.thresholds
        if np.all(thresholds == thresholds[:1]):
            thresholds = thresholds[:1]
        name = f"thresholds{len(self.nodes)}"
        self._parameter(
            name,
            thresholds,
            integer_type(int(thresholds.min()), int(thresholds.max())),
        )
        self.types[out] = integer_type(*codes, bipolar=sample.bipolar)
        self.widths[out] = len(wire.low)
        self.nodes.append(
            helper.make_node(
                "MultiThreshold",
                [wire.name, name],
                [out],
                domain="qonnx.custom_op.general",
                name=node.name,
                out_dtype=self.types[out].name,
                out_scale=2.0 if sample.bipolar else 1.0,
                out_bias=-1.0 if sample.bipolar else float(steps.base),
                data_layout="NC",
            )
        )
        width = len(wire.low)
        return Wire(
            out,
            np.full(width, codes[0]),
            np.full(width, codes[1]),
            function,
            bipolar=sample.bipolar,
        )

    def _is_identity(self, quantized: Callable[[Integers], Quantized], wire: Wire) -> bool:
        """Whether the codes that come out are the integers that go in, for every value."""
        if wire.layer is not None or wire.high.max() - wire.low.min() > 2**16 or wire.bipolar:
            return False
        values = np.arange(wire.low.min(), wire.high.max() + 1)[:, None]
        grid = np.broadcast_to(values, (len(values), len(wire.low)))
        return bool(np.array_equal(quantized(grid).codes, grid))

    # -------------------------------------------------------------------------------- output

    def _select_label(self, wire: Wire) -> None:
        """The class of the greatest logit, from integers: arg max (accumulator + bias)."""
        zero = real(wire.function(np.zeros_like(wire.low)[None]))[0]
        slope = real(wire.function(np.ones_like(wire.low)[None]))[0] - zero
        self._check_affine(wire, zero, slope)
        unit = float(np.median(slope))
        if wire.layer is None or np.any(np.abs(slope - unit) > 1e-6 * abs(unit)) or unit == 0:
            raise HwflowError(
                "the last layer's scale differs between classes (or no linear layer ends the"
                " network), so integers can't be compared",
                hint="scale the last layer's weights per tensor",
            )
        shift = (zero - zero[0]) / abs(unit)
        bias = np.rint(shift).astype(np.int64)
        if np.any(np.abs(shift - bias) > BIAS_TOLERANCE * np.maximum(1, np.abs(bias))):
            raise HwflowError(
                "the last layer's bias is no whole number of accumulator steps",
                hint="quantize the last bias in accumulator units, or leave it out",
            )
        if unit < 0:
            self._negate(wire, np.ones(len(wire.low), bool))
        logits = wire.name
        bias -= bias.min()
        if bias.any():
            self._parameter("label_bias", bias[None], integer_type(0, int(bias.max())))
            logits = "biased"
            self.widths[logits] = len(bias)
            self.types[logits] = integer_type(
                int((wire.low + bias).min()), int((wire.high + bias).max())
            )
            self.nodes.append(
                helper.make_node("Add", [wire.name, "label_bias"], [logits], name="label_bias")
            )
        self._parameter("label_count", np.ones(1, np.int64), None)
        self.nodes.append(
            helper.make_node(
                "TopK", [logits, "label_count"], ["label_value", OUTPUT], name="label", axis=1
            )
        )
        self.types[OUTPUT] = integer_type(0, len(wire.low) - 1)
        self.types["label_value"] = self.types[logits]
        self.widths[OUTPUT] = self.widths["label_value"] = 1

    def _check_affine(self, wire: Wire, zero: Float, slope: Float) -> None:
        ends = np.stack([wire.low, wire.high])
        line = zero + slope * ends
        values = real(wire.function(ends))
        if not np.allclose(values, line, rtol=1e-9, atol=1e-9 * np.abs(line).max()):
            raise HwflowError(
                f"after the last linear layer, {', '.join(wire.nodes)} is not a scale and a bias",
                hint="end the network with a linear layer",
            )

    # --------------------------------------------------------------------------------- model

    def _parameter(self, name: str, values: NDArray[Any], datatype: Any) -> None:
        self.initializers[name] = (values, datatype)

    def _model(self) -> ModelWrapper:
        def info(name: str, kind: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, kind, [1, self.widths[name]])

        graph = helper.make_graph(
            self.nodes,
            "integers",
            [info(INPUT, TensorProto.FLOAT)],
            [info(OUTPUT, TensorProto.INT64)],
        )
        model = ModelWrapper(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
        for name, (values, datatype) in self.initializers.items():
            if datatype is None:
                model.set_initializer(name, values)
                continue
            if np.abs(values).max(initial=0) >= 2**24:
                raise HwflowError(f"{name}: a value of more than 24 bits", hint="use fewer bits")
            model.set_initializer(name, values.astype(np.float32))
            model.set_tensor_datatype(name, datatype)
        for name, datatype in self.types.items():
            if name not in (INPUT, OUTPUT):
                model.set_tensor_shape(name, [1, self.widths[name]])
            model.set_tensor_datatype(name, datatype)
        return model


def to_integers(
    reference: Reference, code: InputCode | None
) -> tuple[ModelWrapper, dict[str, str]]:
    """Translate a network to integers.

    Args:
        reference: the quantized network.
        code: what the integers at the input mean; None: they are the codes of the network's first
            quantizer, which the host computes.

    Returns:
        The integer graph (input `codes` (1, features), output `label` (1, 1)), and for each
        activation quantizer's output in the network the tensor of the integer graph that holds
        its codes.

    Raises:
        HwflowError: a layer can't be expressed in integers; names it, why, and the remedy.
    """
    builder = _Builder(reference, code)
    return builder.build(), builder.steps
