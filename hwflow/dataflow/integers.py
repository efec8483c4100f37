"""From a quantized real-valued graph (QONNX) to a graph of integers only.

The input is a network of linear and convolutional layers, poolings, sums and concatenations,
elementwise operations and quantizers; the output is made of FINN's hardware layers and computes on
integer codes: products of integers, thresholds in place of everything between an accumulator and
the next quantizer, and at the end the classes of the greatest logits. Scales disappear: they are in
the thresholds, which are exact.

Taken are

- Conv over one or two axes, with any kernel, stride, padding by zeros and dilation, dense or
  depthwise, and MatMul and Gemm, all with weights and inputs of up to 8 bits;
- BatchNormalization, Relu and other monotone elementwise operations by channel, and quantizers
  with one scale (Quant, BipolarQuant, Trunc);
- MaxPool, AveragePool, GlobalAveragePool and ReduceMean over the image, nearest upsampling;
- Add of branches in one scale, Concat of channels;
- Flatten between image and linear layers: hardware's images are channels last, which goes into
  the order of the weights.

Zeros that pad an image are the code 0, which every quantizer with zero point 0 has; a binary
activation (-1, +1) that is padded gets two bits for it. The integers of a data set meet no padding:
a quantizer turns them into codes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.dataflow.graph import (
    INPUT,
    OUTPUT,
    HardwareGraph,
    Integers,
    Shape,
)
from hwflow.dataflow.logits import select_labels
from hwflow.dataflow.outputs import OutputCode, end_with
from hwflow.dataflow.rules import rule_of
from hwflow.dataflow.wires import Function, Wire, channel_grid, codes_of, tensor_shape
from hwflow.errors import HwflowError
from hwflow.exchange.operations import operation_of
from hwflow.exchange.reference import Quantized, Reference, Value, evaluate
from hwflow.kernels.integer_types import integer_type

__all__ = [
    "INPUT",
    "OUTPUT",
    "InputCode",
    "NotLoweredError",
    "OutputCode",
    "to_integers",
    "to_output_integers",
]

End = TypeVar("End")

SUPPORTED = (
    "linear and convolutional layers, pools, batch norm, quantized activations, sums and"
    " concatenations"
)


class NotLoweredError(HwflowError):
    """An operation that can't be expressed in integers.

    Args:
        error: why and what to do.
        tensor: output of the operation; None: the network's end.
    """

    def __init__(self, error: HwflowError, tensor: str | None) -> None:
        super().__init__(error.message, hint=error.hint)
        self.tensor = tensor


@dataclass(frozen=True)
class InputCode:
    """What the accelerator's input numbers mean: real value = scale * code + offset."""

    scale: float
    offset: float
    minimum: int
    maximum: int


class _Builder:
    """Builds the integer graph of one network."""

    def __init__(self, reference: Reference, code: InputCode | None) -> None:
        self.reference = reference
        self.graph = HardwareGraph()
        self.steps: dict[str, str] = {}
        self.wires: dict[str, Wire] = {}
        self.todo = list(reference.nodes)
        self.reads = Counter(name for node in reference.nodes for name in node.input)
        self.reads[reference.output] += 1
        dimensions = reference.model.graph.input[0].type.tensor_type.shape.dim
        shape = tuple(int(d.dim_value) for d in dimensions)[1:]
        if code is None:
            self._start_after_quantizer(shape)
            return
        scale, offset = float(np.float32(code.scale)), float(np.float32(code.offset))

        def value(codes: Integers) -> Value:
            return codes.astype(np.float64) * scale + offset

        self._start(reference.input, shape, code.minimum, code.maximum, value)

    def _start(
        self, tensor: str, shape: Shape, minimum: int, maximum: int, function: Function
    ) -> None:
        """Begin at `tensor` of the network, whose integers the accelerator takes."""
        image = len(shape) > 1 and not self._is_flattened(tensor)
        grid = channel_grid(shape) if image else shape
        # Multipliers take no fewer than two bits.
        datatype = integer_type(minimum, max(maximum, 2))
        name = self.graph.start(tensor_shape(shape, image=image), datatype)
        low, high = np.full(grid, minimum).reshape(-1), np.full(grid, maximum).reshape(-1)
        self.wires[tensor] = Wire(name, shape, grid, low, high, function)

    def _is_flattened(self, tensor: str) -> bool:
        """Whether nothing but Flatten ever sees a tensor as an image: then it is none."""
        readers = [node for node in self.reference.nodes if tensor in node.input]
        through = ("monotone", "quantizer", "identity")
        rules = [(operation_of(node).lowering, node.output[0]) for node in readers]
        return bool(readers) and all(
            rule == "reshaping" or (rule in through and self._is_flattened(output))
            for rule, output in rules
        )

    def _start_after_quantizer(self, shape: Shape) -> None:
        """Begin behind the first quantizer, which the host computes."""
        first = next((n for n in self.todo if operation_of(n).codes), None)
        if first is None:
            raise HwflowError(
                "no activation of the network is quantized", hint="put a quantizer at its beginning"
            )
        values: dict[str, Value] = {self.reference.input: np.zeros((1, *shape))}
        for node in self.todo[: self.todo.index(first) + 1]:
            values[node.output[0]] = evaluate(node, self.reference.operands(node, values))
        sample = values[first.output[0]]
        assert isinstance(sample, Quantized)
        self.todo = self.todo[self.todo.index(first) + 1 :]
        name = first.output[0]
        self.steps[name] = INPUT
        function = codes_of(sample.scale, sample.minimum, sample.maximum, sample.bipolar)
        self._start(name, sample.codes.shape[1:], sample.minimum, sample.maximum, function)
        if sample.bipolar:
            self.graph.types[INPUT] = DataType["BIPOLAR"]
            self.wires[name] = replace(self.wires[name], bipolar=True)

    def build(self, end: Callable[[HardwareGraph, Wire], End]) -> tuple[ModelWrapper, End]:
        """The integer graph, with qonnx datatypes on every tensor.

        Args:
            end: puts what comes last behind the network's output.
        """
        for node in self.todo:
            with _locating(node.output[0]):
                self.wires[node.output[0]] = self._translate(node)
        with _locating(None):
            ending = end(self.graph, self._wire(self.reference.output))
        return self.graph.model(), ending

    def _wire(self, name: str) -> Wire:
        wire = self.wires[name]
        return replace(wire, shared=wire.shared or self.reads[name] > 1)

    def _translate(self, node: onnx.NodeProto) -> Wire:
        sources = [name for name in node.input if name in self.wires]
        wires = [self._wire(name) for name in sources]
        operation = operation_of(node)
        join = rule_of(operation.joining).join
        if join is not None and 1 < len(sources) == len(node.input):
            return join(self.graph, self.reference, node, wires)
        if len(sources) != 1:
            raise HwflowError(
                f"{node.name}: {node.op_type} of {len(sources)} activations can't be lowered",
                hint="let branches meet by Add or Concat",
            )
        (wire,) = wires
        if operation.lowering == "identity":
            return wire
        if operation.lowering == "monotone":
            return self._elementwise(node, wire, sources[0])
        lower = rule_of(operation.lowering).lower
        if lower is None:
            raise HwflowError(
                f"{node.name}: {node.op_type} can't be lowered", hint=f"use {SUPPORTED}"
            )
        output = lower(self.graph, self.reference, node, wire)
        if operation.codes:
            self.steps[node.output[0]] = output.name
        return output

    def _elementwise(self, node: onnx.NodeProto, wire: Wire, source: str) -> Wire:
        if node.op_type == "Div" and node.input[0] != source:
            raise HwflowError(
                f"{node.name}: a division by an activation can't be lowered",
                hint=f"use {SUPPORTED}",
            )
        before = wire.function

        def function(n: Integers) -> Value:
            return evaluate(node, self.reference.operands(node, {source: before(n)}))

        output = replace(wire, function=function, nodes=(*wire.nodes, node.name))
        output.at(output.low[None])  # Fails where it depends on the place in the image.
        return output


@contextmanager
def _locating(tensor: str | None) -> Iterator[None]:
    """Say of errors which operation they are of."""
    try:
        yield
    except HwflowError as error:
        raise NotLoweredError(error, tensor) from error


def to_integers(
    reference: Reference, code: InputCode | None, top_k: int = 1
) -> tuple[ModelWrapper, dict[str, str]]:
    """Translate a network to integers.

    Args:
        reference: the quantized network.
        code: what the integers at the input mean; None: they are the codes of the network's first
            quantizer, which the host computes.
        top_k: classes that come out, that of the greatest logit first.

    Returns:
        The integer graph, of FINN's hardware layers (input `codes`, an image (1, H, W, C) or a
        vector (1, F); output `label` (1, top_k)), and for each activation quantizer's output in the
        network the tensor of the integer graph that holds its codes.

    Raises:
        NotLoweredError: a layer can't be expressed in integers; names it, why, and the remedy.
    """
    builder = _Builder(reference, code)
    model, _ = builder.build(lambda graph, wire: select_labels(graph, wire, top_k))
    return model, builder.steps


def to_output_integers(
    reference: Reference, code: InputCode | None
) -> tuple[ModelWrapper, dict[str, str], OutputCode]:
    """As `to_integers`, of a network that the host goes on from: the output is the integers of the
    network's last tensor, and what they mean comes third.

    Raises:
        NotLoweredError: also where the last tensor is not a scale times integers plus a bias.
    """
    builder = _Builder(reference, code)
    model, meaning = builder.build(end_with)
    return model, builder.steps, meaning
