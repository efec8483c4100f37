"""The software reference: a QONNX graph evaluated in float64, in batches.

Hardware is compared with this, not with a float32 run, so that the software's own rounding can
never pose as a hardware error. A quantized tensor is kept as what it is, integer codes and a
scale: the product of two of them is an exact integer accumulation times the product of the
scales, as the quantized network is defined (Jacob et al. 2018, section 2.2), and only what
follows (batch norm, activation) is float64 arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from hwflow.errors import HwflowError
from hwflow.exchange.domains import opset
from hwflow.exchange.operations import names, operation_of
from hwflow.exchange.translation.nodes import read_node
from hwflow.exchange.values import Float, Quantized, Value, real

__all__ = ["Float", "Quantized", "Reference", "Trace", "Value", "evaluate", "real"]

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
        HwflowError: an operation is not in the normal form (see `hwflow.exchange.importing`), or
            has an attribute that is not.
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
        version = opset(self.model)
        for number, node in enumerate(graph.node):
            operation = operation_of(node)
            if operation.evaluate is None:
                raise HwflowError(
                    f"{node.name or node.output[0]}: the operation {node.op_type} is not supported"
                    " in a quantized network",
                    hint=f"supported are {', '.join(supported())}",
                )
            operation.check_normal(read_node(node, number), version)
            if all(name in self.parameters for name in node.input if name):
                self.parameters[node.output[0]] = evaluate(node, self.operands(node, {}))
            else:
                self.nodes.append(node)

    @staticmethod
    def knows(model: onnx.ModelProto) -> bool:
        """Whether all operations of a network are known."""
        return all(operation_of(node).evaluate is not None for node in model.graph.node)

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
            operation = operation_of(node)
            if isinstance(value, Quantized) and operation.codes:
                trace.codes[node.output[0]] = value.codes.astype(np.int64)
            if isinstance(value, Quantized) and operation.rounds:
                trace.margin = np.minimum(trace.margin, rounding_margin(real(operands[0]), value))
        trace.logits = real(values[self.output])
        return trace


def supported() -> list[str]:
    """Names of the operations that the reference knows."""
    return names(lambda operation: operation.evaluate is not None)


def evaluate(node: onnx.NodeProto, operands: list[Value]) -> Value:
    """Evaluate one node on values whose first axis is the batch."""
    function = operation_of(node).evaluate
    assert function is not None, f"{node.op_type} has no reference"
    return function(operands, read_node(node))


def rounding_margin(inputs: Float, quantized: Quantized) -> Float:
    """(N,) least distance of a sample's values from where the quantizer's output changes."""
    position = (inputs / quantized.scale).reshape(len(inputs), -1)
    lowest, highest = quantized.minimum + 0.5, quantized.maximum - 0.5
    steps = np.clip(np.floor(position) + 0.5, lowest, highest)
    distances = np.abs(position if quantized.bipolar else position - steps)
    margin: Float = distances.min(axis=1)
    return margin
