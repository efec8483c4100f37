"""What is walked in a file: its nodes, and the values between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
from numpy.typing import NDArray

from hwflow.errors import RequestError
from hwflow.exchange.importing.graph import Tensor, inverse
from hwflow.exchange.values import quantizer_range


@dataclass(frozen=True)
class Node:
    """A node of the file: its name for messages, operands and attributes."""

    proto: onnx.NodeProto
    name: str
    attributes: dict[str, Any]

    @property
    def kind(self) -> str:
        """The operation."""
        return self.proto.op_type

    @property
    def inputs(self) -> list[str]:
        """Names of the operands; empty where one is left out."""
        return list(self.proto.input)

    def refusal(self, what: str, hint: str) -> RequestError:
        """An error of this node."""
        return RequestError(f"{self.name}: {what}", hint=hint)


@dataclass(frozen=True)
class Codes:
    """The integers between QuantizeLinear and DequantizeLinear.

    Attributes:
        tensor: what is quantized.
        scale: to broadcast against the file's tensor.
        zero: the zero point.
        low, high: range of the integers.
    """

    tensor: Tensor
    scale: NDArray[Any]
    zero: int
    low: int
    high: int


@dataclass(frozen=True)
class Head:
    """What a file does behind its logits.

    Attributes:
        kind: Softmax or LogSoftmax; None: nothing that hardware leaves out.
        logits: what that is done with.
        top_k: classes that come out in order; None: numbers.
    """

    kind: str | None
    logits: Tensor
    top_k: int | None = None

    @property
    def words(self) -> str:
        """What it is, for messages."""
        if self.top_k is None:
            return str(self.kind)
        return "TopK or ArgMax"


Value = Tensor | Codes | Head


def smallest_quantizer(low: int, high: int) -> tuple[int, bool, bool, bool]:
    """The quantizer of fewest bits whose range holds [low, high].

    Returns:
        Bits, whether signed, whether narrow, and whether the range is just that.
    """
    signed = low < 0
    bits = 1 + int(signed)
    while True:
        for narrow in (True, False):
            lowest, highest = quantizer_range(bits, signed, narrow)
            if lowest <= low and high <= highest and not (bits == 1 and narrow):
                return bits, signed, narrow, (lowest, highest) == (low, high)
        bits += 1


def read_node(proto: onnx.NodeProto, number: int) -> Node:
    """A node with a name: its own, or of what it makes."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
    name = proto.name or (proto.output[0] if proto.output else "") or f"{proto.op_type}{number}"
    return Node(proto, name, attributes)


def input_axes(model: onnx.ModelProto, rank: int) -> tuple[int, ...]:
    """How the file's input lies against channels first: it has channels last if it is transposed
    to channels first in front of the first layer."""
    same = tuple(range(rank))
    if rank < 3:
        return same
    name = model.graph.input[0].name
    to_first = (0, rank - 1, *range(1, rank - 1))
    passing = {"Quant", "IntQuant", "BipolarQuant", "QuantizeLinear", "DequantizeLinear", "Clip"}
    passing |= {"Add", "Sub", "Mul", "Div", "Cast", "Identity", "Dropout", "Pad"}
    for node in model.graph.node:
        if name not in node.input:
            continue
        if node.op_type == "Transpose":
            perm = next((tuple(a.ints) for a in node.attribute if a.name == "perm"), ())
            return inverse(to_first) if perm == to_first else same
        if node.op_type not in passing:
            return same
        name = node.output[0]
    return same
