"""From a file's graph to the one form that the reference and the lowering know.

The file is walked node by node. What does not depend on the input becomes a constant; every other
operation is translated to those of the float64 reference, as its record
(`hwflow.exchange.operations`) says:

- quantizers are `Quant` and `BipolarQuant` with zero point 0 and whole bit widths, whatever they
  were (IntQuant, QuantizeLinear and DequantizeLinear, zero points that shift the range);
- linear layers are `MatMul` or `Gemm` with weights (inputs, outputs), convolutions `Conv` with
  explicit padding; the weights are a parameter behind a quantizer of one scale, or one an output;
- tensors are channels first. Transpositions of a file that has channels last are not made: it is
  remembered how the file's axes lie, and parameters are transposed instead;
- the head that turns logits into probabilities or a class is cut off and remembered;
- what hardware does not take before the first quantized layer, or behind the last, is kept as it is
  (`kept`): the host runs it.

An attribute that nothing reads is refused, never left out. Names of nodes, and what a node says of
itself (`metadata_props`), stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from hwflow.errors import RequestError
from hwflow.exchange.activations import Activations
from hwflow.exchange.domains import domain_of
from hwflow.exchange.importing.kept import check_kept, keep, may_be_kept
from hwflow.exchange.operations import by_name, names, operation_of
from hwflow.exchange.translation.graph import InputGrid, Tensor, inverse
from hwflow.exchange.translation.nodes import Activation, Head, Node, read_node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized

__all__ = ["InputGrid", "Normal", "translated"]


@dataclass(frozen=True)
class Normal:
    """A file in normal form.

    Attributes:
        model: of one frame, channels first, to (1, classes).
        axes: the file's input is the model's input, (N, ...), transposed so.
        head: what the file does behind the logits and hardware does not, Softmax or LogSoftmax;
            None: nothing.
        top_k: classes that the file puts out, that of the greatest logit first; None: it puts out
            numbers.
        reach: real range of the input beyond which its first quantizer does not tell values
            apart; None where the input's grid was given.
        kept_before: whether operations that only the host runs come first.
    """

    model: onnx.ModelProto
    axes: tuple[int, ...]
    head: str | None
    top_k: int | None
    reach: tuple[float, float] | None
    kept_before: bool = False


def translated(model: onnx.ModelProto, sample: tuple[int, ...], grid: InputGrid | None) -> Normal:
    """A file in normal form.

    Args:
        model: the file, read and with a known shape of its input.
        sample: shape of one sample, as the file has it.
        grid: the integers that the accelerator takes, if they are not the first quantizer's.

    Raises:
        RequestError: an operation that hardware does not know; names it and says what to do.
    """
    return _Walk(model, sample, grid).translated()


class _Walk:
    """Goes through one file."""

    def __init__(
        self, model: onnx.ModelProto, sample: tuple[int, ...], grid: InputGrid | None
    ) -> None:
        self.file = model
        self.axes = _input_axes(model, len(sample) + 1)
        shape = (1, *(sample[axis - 1] for axis in inverse(self.axes)[1:]))
        self.state = Translation(model, shape, self.axes, grid)
        self.heads: dict[str, Node] = {}
        self.reasons: dict[str, RequestError] = {}  # why outputs of the file are kept
        constants = self.state.constants.values
        quantized = [n for n, value in constants.items() if isinstance(value, Quantized)]
        self.activations = Activations(model, quantized)

    def translated(self) -> Normal:
        nodes = [read_node(proto, number) for number, proto in enumerate(self.file.graph.node)]
        self._check_known(nodes)
        for node in nodes:
            if all(name in self.state.constants for name in node.inputs):
                self._fold(node)
                continue
            self._check_operands(node)
            result = node.proto.output[operation_of(node.proto).result]
            self.state.values[result] = self._value(node, result)
        return self._finished()

    def _fold(self, node: Node) -> None:
        """Compute a node all of whose operands are constants.

        Raises:
            RequestError: it can't be done, or a quantizer is none that hardware knows.
        """
        constants, operation = self.state.constants, operation_of(node.proto)
        if operation.fold is not None:
            operation.check(node, self.state.opset)
            constants.values[node.output] = operation.fold(constants, node)
        elif operation.domain and operation.evaluate is not None:
            operands = [constants.values[name] for name in node.inputs if name]
            constants.values[node.output] = operation.evaluate(operands, node)
        else:
            results = zip(node.proto.output, constants.computed(node), strict=False)
            constants.values.update(results)

    def _value(self, node: Node, result: str) -> Activation:
        """One operation, in normal form where that has it, else as the file has it.

        Raises:
            RequestError: neither will do.
        """
        graph = self.state.graph
        before = graph.state()
        try:
            activation = self._translated(node)
        except RequestError as error:
            if operation_of(node.proto).chooses or not may_be_kept(self.activations, node):
                raise
            graph.restore(before)
            activation = keep(self.state, self.heads, node, error)
            self.reasons[activation.name] = error
        graph.tag(before, node.proto)
        if isinstance(activation, Head):
            self.heads[result] = node
        return activation

    def _translated(self, node: Node) -> Activation:
        operation = operation_of(node.proto)
        if operation.translate is None:
            raise node.refusal(
                f"{node.kind} of activations is not supported",
                f"supported are {', '.join(_supported())}",
            )
        values = [self.state.values.get(name) for name in node.inputs]
        if any(isinstance(v, Tensor) and v.name in self.state.graph.elements for v in values):
            raise node.refusal(f"{node.kind} of integers is not supported", "use real values")
        operation.check(node, self.state.opset)
        return operation.translate(self.state, node)

    def _check_known(self, nodes: list[Node]) -> None:
        """Refuse operations that nobody knows, and networks that are not quantized at all."""
        known = by_name()
        for node in nodes:
            domain = domain_of(node.proto)
            if domain and (domain, node.kind) not in known:
                raise node.refusal(
                    f"the operation {node.kind} of {domain} is not supported",
                    f"supported are {', '.join(_supported())}",
                )
        values = self.state.constants.values.values()
        quantizes = any(operation_of(node.proto).quantizes for node in nodes)
        if not quantizes and not any(isinstance(value, Quantized) for value in values):
            raise RequestError(
                "the model holds no quantizers: its weights and activations are floats",
                hint="quantize it (a recipe with a stage `quantize`, Brevitas or QKeras) and export"
                " that as QONNX or QCDQ",
            )

    def _check_operands(self, node: Node) -> None:
        for name in node.inputs:
            if name and name not in self.state.constants and name not in self.state.values:
                raise node.refusal(
                    f"nothing makes its operand {name} before it", "export the model again"
                )
        outputs = [name for name in node.proto.output if name]
        if len(outputs) > 1 and not operation_of(node.proto).spare_outputs:
            raise node.refusal(
                f"{node.kind} with several outputs is not supported",
                "export a chain of layers with sums and concatenations",
            )

    def _finished(self) -> Normal:
        name = self.file.graph.output[0].name
        activation = self.state.values.get(name)
        head = Head(None, activation) if isinstance(activation, Tensor) else activation
        if not isinstance(head, Head) or any(head.logits.pads):
            raise RequestError(
                f"the output {name} does not depend on the input, or is of integers",
                hint="export a classifier whose output is its logits",
            )
        logits = head.logits
        classes = logits.shape[1] if len(logits.shape) > 1 else 0
        if int(np.prod(logits.shape)) != classes or logits.order is not None:
            raise RequestError(
                f"the output {name} has the shape {logits.file_shape}",
                hint="hardware takes classifiers, whose output is (1, classes)",
            )
        if classes < 2:
            raise RequestError(
                f"the output {name} is a single number",
                hint="the accelerator's output is the class of the greatest logit, of at least two",
            )
        graph, output = self.state.graph, logits.name
        if len(logits.shape) > 2:
            output = graph.add("Flatten", [output], (1, classes), name="logits", axis=1)
        if not graph.nodes:
            raise RequestError("the model holds no layers", hint="export a trained network")
        model = graph.model(output)
        before = check_kept(model, self.reasons)
        return Normal(model, self.axes, head.kind, head.top_k, self.state.reach, before)


def _supported() -> list[str]:
    return names(lambda operation: operation.translate is not None)


def _input_axes(model: onnx.ModelProto, rank: int) -> tuple[int, ...]:
    """How the file's input lies against channels first: it has channels last if it is transposed
    to channels first in front of the first layer."""
    same = tuple(range(rank))
    if rank < 3:
        return same
    name = model.graph.input[0].name
    to_first = (0, rank - 1, *range(1, rank - 1))
    for node in model.graph.node:
        if name not in node.input:
            continue
        if node.op_type == "Transpose":
            perm = next((tuple(a.ints) for a in node.attribute if a.name == "perm"), ())
            return inverse(to_first) if perm == to_first else same
        if not operation_of(node).keeps_axes:
            return same
        name = node.output[0]
    return same
