"""What is known while a file is rewritten, and what every operation's translation uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from hwflow.errors import RequestError
from hwflow.exchange.domains import QONNX, STANDARD, opset
from hwflow.exchange.translation.constants import Constants, narrowest
from hwflow.exchange.translation.graph import Affine, Graph, InputGrid, Tensor, inverse
from hwflow.exchange.translation.nodes import (
    Activation,
    Codes,
    Head,
    Node,
    smallest_quantizer,
)
from hwflow.exchange.values import Quantized

# The widest activations and weights that hardware takes.
MOST_BITS = 8


class Translation:
    """A file that is being rewritten.

    Args:
        model: the file, read and with a known shape of its input.
        shape: of the input in the new graph, channels first: (1, ...).
        axes: the file's input is that one, transposed so.
        grid: the integers that the accelerator takes, if they are not the first quantizer's.

    Attributes:
        constants: values that do not depend on the input, by name in the file.
        values: what is known of activations, by name in the file.
        graph: what the file is rewritten to.
        output: name of the file's output.
        opset: version of ONNX's operations in the file.
        reach: range of the input beyond which its first quantizer tells no values apart.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        shape: tuple[int, ...],
        axes: tuple[int, ...],
        grid: InputGrid | None,
    ) -> None:
        self.grid = grid
        self.reach: tuple[float, float] | None = None
        self.opset = opset(model)
        self.output = model.graph.output[0].name
        self.constants = Constants(model)
        name = model.graph.input[0].name
        versions = {o.domain: o.version for o in model.opset_import if o.domain not in STANDARD}
        self.graph = Graph(name, shape, versions)
        one = np.ones(())
        self.values: dict[str, Activation] = {
            name: Tensor(name, shape, axes, affine=Affine(one, one * 0))
        }

    def add(
        self, node: Node, kind: str, inputs: Sequence[str], shape: Sequence[int], **attributes: Any
    ) -> str:
        """A node in the place of one of the file's, whose names it takes; returns its output.

        Args:
            node: of the file.
            kind: the operation of the new node.
            inputs: names in the new graph.
            shape: of what it makes.
            attributes: of the new node; `domain` is that.
        """
        return self.graph.add(kind, inputs, shape, name=node.name, output=node.output, **attributes)

    def tensor(self, node: Node, index: int = 0) -> Tensor:
        """An operand that is an activation.

        Raises:
            RequestError: it is a constant, or integers that were not brought to real values.
        """
        name = node.inputs[index]
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
            raise RequestError(
                f"{value.name}: {value.words} is supported at the end of a network only, and"
                f" {node.name} ({node.kind}) is behind it",
                hint=f"end the network with {value.words}, or with its logits",
            )
        raise node.refusal(
            f"its operand {name} is a constant, and {node.kind} takes an activation there",
            "let it be an activation, or leave the constant out",
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
        zero: int = 0,
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
            zero: the zero point that is in the range, for messages.
            name, output: of the new node; default: those of the file's.
        """
        tensor = self.plain(node, tensor)
        name, output = name or node.name, output or node.proto.output[0]
        bits, signed, narrow, exact = smallest_quantizer(low, high)
        if bits > MOST_BITS:
            what, hint = f"an activation of {bits} bits", f"hardware takes at most {MOST_BITS} bits"
            if zero:
                what += f": its zero point {zero} makes the integers {low} to {high}"
                hint += "; quantize symmetrically (onnxruntime: ActivationSymmetric), or to fewer"
            raise node.refusal(what, hint)
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
            output = self.graph.add(
                "BipolarQuant", operands, tensor.shape, name=name, output=output, domain=QONNX
            )
        else:
            operands.append(self.graph.parameter(f"{name}_zero_point", 0))
            operands.append(self.graph.parameter(f"{name}_bits", bits))
            output = self.graph.add(
                "Quant",
                operands,
                tensor.shape,
                name=name,
                output=output,
                domain=QONNX,
                signed=int(signed),
                narrow=int(narrow),
                rounding_mode=mode,
            )
        return replace(tensor, name=output, affine=None, quantized=True)

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

    def weights(self, node: Node, index: int) -> Quantized:
        """The integers and scales of a layer's weights.

        Raises:
            RequestError: they are floats, computed from the input, or of more than 8 bits.
        """
        name = node.inputs[index]
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
            return self.graph.add("BipolarQuant", operands, stored.shape, name=name, domain=QONNX)
        operands.append(self.graph.parameter(f"{name}_zero_point", 0))
        operands.append(self.graph.parameter(f"{name}_bits", bits))
        return self.graph.add(
            "Quant",
            operands,
            stored.shape,
            name=name,
            domain=QONNX,
            signed=int(signed),
            narrow=int(narrow),
            rounding_mode="ROUND",
        )
