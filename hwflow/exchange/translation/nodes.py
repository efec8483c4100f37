"""What is walked in a file: its nodes, and the values between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
from numpy.typing import NDArray

from hwflow.errors import RequestError
from hwflow.exchange.translation.graph import Tensor
from hwflow.exchange.values import quantizer_range


@dataclass(frozen=True)
class Node:
    """A node: its name for messages, operands and attributes."""

    proto: onnx.NodeProto
    name: str
    attributes: dict[str, Any]

    @property
    def kind(self) -> str:
        """The operation."""
        return str(self.proto.op_type)

    @property
    def output(self) -> str:
        """Name of the first output."""
        return str(self.proto.output[0])

    @property
    def inputs(self) -> list[str]:
        """Names of the operands; empty where one is left out."""
        return list(self.proto.input)

    def has(self, index: int) -> bool:
        """Whether there is an operand of an index, and it is not left out."""
        return len(self.proto.input) > index and bool(self.proto.input[index])

    def refusal(self, what: str, hint: str) -> RequestError:
        """An error of this node."""
        return RequestError(f"{self.name}: {what}", hint=hint)

    def text(self, name: str, default: str) -> str:
        """An attribute that is text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)


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
        name: of the node that begins it, for messages.
    """

    kind: str | None
    logits: Tensor
    top_k: int | None = None
    name: str = ""

    @property
    def words(self) -> str:
        """What it is, for messages."""
        if self.top_k is None:
            return str(self.kind)
        return "TopK or ArgMax"


# What an activation of the file is, while it is rewritten.
Activation = Tensor | Codes | Head


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


def read_node(proto: onnx.NodeProto, number: int = 0) -> Node:
    """A node with a name: its own, or of what it makes."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
    name = proto.name or (proto.output[0] if proto.output else "") or f"{proto.op_type}{number}"
    return Node(proto, name, attributes)
