"""From a file's graph to the one form that the reference and the lowering know.

The file is walked node by node. What does not depend on the input becomes a constant
(`constants`); every other operation is translated to those of `hwflow.exchange.reference`:

- quantizers are `Quant` and `BipolarQuant` with zero point 0 and whole bit widths, whatever they
  were (IntQuant, QuantizeLinear and DequantizeLinear, zero points that shift the range);
- linear layers are `MatMul` or `Gemm` with weights (inputs, outputs), convolutions `Conv` with
  explicit padding; the weights are a parameter behind a quantizer of one scale, or one an output;
- tensors are channels first. Transpositions of a file that has channels last are not made: it is
  remembered how the file's axes lie, and parameters are transposed instead;
- the head that turns logits into probabilities or a class is cut off and remembered;
- what hardware does not take before the first quantized layer, or behind the last, is kept as it is
  (`kept`): the host runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwflow.errors import RequestError
from hwflow.exchange.activations import Activations
from hwflow.exchange.importing.constants import Constants, narrowest
from hwflow.exchange.importing.graph import Affine, Graph, InputGrid, Normal, Tensor, inverse
from hwflow.exchange.importing.kept import check_kept, keep, may_be_kept
from hwflow.exchange.importing.nodes import (
    Codes,
    Head,
    Node,
    Value,
    input_axes,
    read_node,
    smallest_quantizer,
)
from hwflow.exchange.importing.reading import QONNX_DOMAIN, QONNX_OPERATIONS, opset
from hwflow.exchange.values import Quantized

# The widest activations and weights that hardware takes.
MOST_BITS = 8
# Operations that make a network a quantized one.
QUANTIZING = QONNX_OPERATIONS | {"QuantizeLinear", "DequantizeLinear"}
# Operations behind the logits that leave their order as it is, or name the greatest.
HEADS = frozenset({"Softmax", "LogSoftmax", "ArgMax", "TopK"})
# Of them those that give classes; nothing can follow.
CHOICES = frozenset({"ArgMax", "TopK"})
SEVERAL_OUTPUTS = frozenset({"Dropout", "BatchNormalization", "TopK"})
__all__ = ["HEADS", "InputGrid", "Normal", "Translator"]


def _result(node: Node) -> str:
    """The output of an operation that counts: of TopK, the indices."""
    return node.proto.output[-1 if node.kind == "TopK" else 0]


class Translator:
    """Rewrites one file.

    Args:
        model: the file, read and with a known shape of its input.
        sample: shape of one sample, as the file has it.
        grid: the integers that the accelerator takes, if they are not the first quantizer's.
    """

    def __init__(
        self, model: onnx.ModelProto, sample: tuple[int, ...], grid: InputGrid | None
    ) -> None:
        self.file = model
        self.grid = grid
        self.reach: tuple[float, float] | None = None
        self.constants = Constants(model, opset(model))
        self.heads: dict[str, Node] = {}
        self.kept: dict[str, RequestError] = {}  # what is kept, and why
        quantized = [n for n, v in self.constants.values.items() if isinstance(v, Quantized)]
        self.activations = Activations(model, quantized)
        name = model.graph.input[0].name
        axes = input_axes(model, len(sample) + 1)
        shape = (1, *(sample[axis - 1] for axis in inverse(axes)[1:]))
        version = next(o.version for o in model.opset_import if o.domain == QONNX_DOMAIN)
        self.graph = Graph(name, shape, version)
        one = np.ones(())
        self.axes = axes
        self.values: dict[str, Value] = {
            name: Tensor(name, shape, axes, affine=Affine(one, one * 0))
        }

    def translate(self) -> Normal:
        """The file in normal form.

        Raises:
            RequestError: an operation that hardware does not know; names it and says what to do.
        """
        from hwflow.exchange.importing.operations import OPERATIONS

        nodes = [read_node(proto, number) for number, proto in enumerate(self.file.graph.node)]
        self._check_known(nodes, OPERATIONS)
        for node in nodes:
            if all(name in self.constants for name in node.inputs):
                self.constants.evaluate(node.proto, node.attributes)
                continue
            self._check_operands(node)
            self.values[_result(node)] = self._value(node, OPERATIONS)
        return self._finished()

    def _value(
        self, node: Node, operations: dict[str, Callable[[Translator, Node], Value]]
    ) -> Value:
        """One operation, in normal form where that has it, else as the file has it.

        Raises:
            RequestError: neither will do.
        """
        before = self.graph.state()
        try:
            return self._translated(node, operations)
        except RequestError as error:
            if node.kind in CHOICES or not may_be_kept(self.activations, node):
                raise
            self.graph.restore(before)
            made = keep(self, node, error)
            self.kept[made.name] = error
            return made

    def _translated(
        self, node: Node, operations: dict[str, Callable[[Translator, Node], Value]]
    ) -> Value:
        if node.kind not in operations:
            raise node.refusal(
                f"{node.kind} of activations is not supported",
                f"supported are {', '.join(sorted(operations))}",
            )
        values = [self.values.get(name) for name in node.inputs]
        if any(isinstance(v, Tensor) and v.name in self.graph.elements for v in values):
            raise node.refusal(f"{node.kind} of integers is not supported", "use real values")
        made = operations[node.kind](self, node)
        if isinstance(made, Head):
            self.heads[_result(node)] = node
        return made

    def _check_known(
        self, nodes: list[Node], operations: dict[str, Callable[[Translator, Node], Value]]
    ) -> None:
        """Refuse operations that nobody knows, and networks that are not quantized at all."""
        for node in nodes:
            if node.proto.domain not in ("", "ai.onnx", QONNX_DOMAIN):
                raise node.refusal(
                    f"the operation {node.kind} of {node.proto.domain} is not supported",
                    f"supported are {', '.join(sorted(operations))}",
                )
        kinds = {node.kind for node in nodes}
        annotated = any(isinstance(v, Quantized) for v in self.constants.values.values())
        if not kinds & QUANTIZING and not annotated:
            raise RequestError(
                "the model holds no quantizers: its weights and activations are floats",
                hint="quantize it (a recipe with a stage `quantize`, Brevitas or QKeras) and export"
                " that as QONNX or QCDQ",
            )

    def _check_operands(self, node: Node) -> None:
        for name in node.inputs:
            if name and name not in self.constants and name not in self.values:
                raise node.refusal(
                    f"nothing makes its operand {name} before it", "export the model again"
                )
        outputs = [name for name in node.proto.output if name]
        if len(outputs) > 1 and node.kind not in SEVERAL_OUTPUTS:
            raise node.refusal(
                f"{node.kind} with several outputs is not supported",
                "export a chain of layers with sums and concatenations",
            )

    # ------------------------------------------------------------------------ what handlers use

    def tensor(self, node: Node, place: int = 0) -> Tensor:
        """An operand that is an activation.

        Raises:
            RequestError: it is a constant, or integers that were not brought to real values.
        """
        name = node.inputs[place]
        value = self.values.get(name)
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Codes):
            raise node.refusal(
                f"{node.kind} of integers between QuantizeLinear and DequantizeLinear is not"
                " supported",
                "put the layer behind DequantizeLinear",
            )
        if isinstance(value, Head):
            raise node.refusal(
                f"{node.kind} behind {value.words} is not supported",
                f"end the network with {value.words}, or with its logits",
            )
        raise node.refusal(
            f"{node.kind} of a constant and an activation in this order is not supported",
            "put the activation first",
        )

    def plain(self, node: Node, tensor: Tensor) -> Tensor:
        """The tensor without padding that only a convolution can take over."""
        if any(tensor.pads):
            raise node.refusal(
                f"zeros are put around its input, and a {node.kind} can't have them",
                "put the padding in front of a convolution",
            )
        return tensor

    def quantized_input(self, node: Node, tensor: Tensor) -> Tensor:
        """The operand of a layer of weights: the network's input gets a quantizer if it has none.

        Raises:
            RequestError: it has none, and the recipe does not say what its integers are.
        """
        if tensor.quantized or tensor.affine is None:
            return tensor
        if self.grid is None:
            raise node.refusal(
                "the network's input enters it without a quantizer",
                "say what its integers mean, for example --set"
                " 'model.input={minimum: 0, maximum: 1, bits: 8}'",
            )
        scale = tensor.affine.factor * self.grid.scale
        start = (tensor.affine.factor * self.grid.offset + tensor.affine.offset) / scale
        steps = np.rint(start)
        if scale.size != 1 or np.any(np.abs(start - steps) > 1e-4) or np.any(scale == 0):
            raise node.refusal(
                "the network's input enters it without a quantizer, and its integers are no"
                " multiples of one step",
                "put a quantizer in front of it, or let model.input.minimum be 0",
            )
        ends = sorted(int(np.sign(scale) * n + steps * np.sign(scale)) for n in self._codes())
        name = f"{node.name}_input"
        return self.quantize(node, tensor, np.abs(scale), *ends, output=name, name=name)

    def _codes(self) -> tuple[int, int]:
        assert self.grid is not None
        return self.grid.minimum, self.grid.maximum

    def quantize(
        self,
        node: Node,
        tensor: Tensor,
        scale: NDArray[Any],
        low: int,
        high: int,
        *,
        mode: str = "ROUND",
        bipolar: bool = False,
        name: str | None = None,
        output: str | None = None,
    ) -> Tensor:
        """A quantizer to the integers from `low` to `high`.

        Args:
            node: of the file.
            tensor: what is quantized.
            scale: of the file's tensor, to broadcast against it.
            low, high: range.
            mode: of rounding.
            bipolar: -1 and +1 only.
            name, output: of the new node; default: those of the file's.
        """
        tensor = self.plain(node, tensor)
        name, output = name or node.name, output or node.proto.output[0]
        bits, signed, narrow, exact = smallest_quantizer(low, high)
        if bits > MOST_BITS:
            raise node.refusal(
                f"an activation of {bits} bits", f"hardware takes at most {MOST_BITS} bits"
            )
        step = self.aligned(node, scale, tensor)
        source = tensor.name
        if not exact:
            ends = [self.graph.parameter(f"{name}_end", step * n) for n in (low, high)]
            if step.size != 1:
                raise node.refusal(
                    f"a quantizer of one scale a channel has the range {low} to {high}",
                    "use one scale for all channels",
                )
            source = self.graph.add("Clip", [source, *ends], tensor.shape, name=f"{name}_clip")
        operands = [source, self.graph.parameter(f"{name}_scale", step)]
        self._reached(tensor, step, low, high)
        if bipolar:
            made = self.graph.add("BipolarQuant", operands, tensor.shape, name=name, output=output)
        else:
            operands.append(self.graph.parameter(f"{name}_zero_point", 0))
            operands.append(self.graph.parameter(f"{name}_bits", bits))
            made = self.graph.add(
                "Quant",
                operands,
                tensor.shape,
                name=name,
                output=output,
                signed=int(signed),
                narrow=int(narrow),
                rounding_mode=mode,
            )
        return replace(tensor, name=made, affine=None, quantized=True)

    def _reached(self, tensor: Tensor, step: NDArray[Any], low: int, high: int) -> None:
        """Note the range of the network's input that its first quantizer tells apart."""
        if tensor.affine is None or self.reach is not None:
            return
        ends = [(n * step - tensor.affine.offset) / tensor.affine.factor for n in (low, high)]
        self.reach = float(np.min(ends)), float(np.max(ends))

    def aligned(self, node: Node, values: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
        """A constant that is broadcast against the file's tensor, for the new graph's.

        Raises:
            RequestError: broadcasting would make the tensor larger.
        """
        values = np.asarray(narrowest(values))
        if values.size == 1:
            return values.reshape(())
        shape = tensor.file_shape
        if values.ndim > len(shape) or np.broadcast_shapes(values.shape, shape) != shape:
            raise node.refusal(
                f"a constant of the shape {values.shape} meets an activation of {shape}",
                "use constants that do not make the activation larger",
            )
        values = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
        if tensor.order is not None:
            values = values[:, np.argsort(tensor.order)]
        return np.transpose(values, inverse(tensor.axes))

    def weights(self, node: Node, place: int) -> Quantized:
        """The integers and scales of a layer's weights.

        Raises:
            RequestError: they are floats, computed from the input, or of more than 8 bits.
        """
        name = node.inputs[place]
        if name not in self.constants:
            raise node.refusal(
                f"{node.kind} of two activations is not supported",
                "one operand must be quantized weights",
            )
        value = self.constants.values[name]
        if not isinstance(value, Quantized):
            raise node.refusal(
                "its weights are floats, not quantized",
                "quantize every layer's weights, to 8 bits at the most",
            )
        bits = smallest_quantizer(value.minimum, value.maximum)[0]
        if bits > MOST_BITS:
            raise node.refusal(
                f"its weights have {bits} bits", f"hardware takes at most {MOST_BITS}"
            )
        return value

    def parameter(self, node: Node, what: str, value: Quantized | NDArray[Any]) -> str:
        """A parameter of a layer; integers get a quantizer that gives them back."""
        name = f"{node.name}_{what}"
        if not isinstance(value, Quantized):
            return self.graph.parameter(name, value)
        stored = np.asarray(value.value, np.float32)
        scale = np.asarray(value.scale, np.float32)
        bits, signed, narrow, _ = smallest_quantizer(value.minimum, value.maximum)
        again = np.rint(stored.astype(np.float64) / scale.astype(np.float64))
        if np.any(again != value.codes):  # Beyond what float32 holds.
            return self.graph.parameter(name, stored)
        operands = [self.graph.parameter(f"{name}_values", stored)]
        operands.append(self.graph.parameter(f"{name}_scale", scale))
        if value.bipolar:
            return self.graph.add("BipolarQuant", operands, stored.shape, name=name)
        operands.append(self.graph.parameter(f"{name}_zero_point", 0))
        operands.append(self.graph.parameter(f"{name}_bits", bits))
        return self.graph.add(
            "Quant",
            operands,
            stored.shape,
            name=name,
            signed=int(signed),
            narrow=int(narrow),
            rounding_mode="ROUND",
        )

    # -------------------------------------------------------------------------------- the end

    def _finished(self) -> Normal:
        name = self.file.graph.output[0].name
        found = self.values.get(name)
        head = Head(None, found) if isinstance(found, Tensor) else found
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
        made = logits.name
        if len(logits.shape) > 2:
            made = self.graph.add("Flatten", [made], (1, classes), name="logits", axis=1)
        if not self.graph.nodes:
            raise RequestError("the model holds no layers", hint="export a trained network")
        model = self.graph.model(made)
        before = check_kept(model, self.kept)
        return Normal(model, self.axes, head.kind, head.top_k, self.reach, before)
