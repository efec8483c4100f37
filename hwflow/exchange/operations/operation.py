"""All that hwflow knows of an operation of ONNX, in one record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from hwflow.errors import HwflowError
from hwflow.exchange.translation.constants import Constant, Constants
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Value

# Brings a node of a file to normal form, and tells what is known of what it makes.
Translate: TypeAlias = Callable[[Translation, Node], Activation]
# The value of a node all of whose operands are constants.
Fold: TypeAlias = Callable[[Constants, Node], Constant]
# The float64 value of a node in normal form; the first axis of activations is the batch. Operands
# that are left out are not among them.
Evaluate: TypeAlias = Callable[[list[Value], Node], Value]

# The value of a node in a file, of arrays as the file has them.
Execute: TypeAlias = Callable[[list[NDArray[Any]], Node], NDArray[Any]]


class Frames(Protocol):
    """A file whose operations are asked whether they treat each frame by itself."""

    def is_fixed(self, name: str) -> bool:
        """Whether a tensor does not depend on the input."""
        ...

    def initializer(self, name: str) -> NDArray[Any] | None:
        """The value of an initializer."""
        ...


@dataclass(frozen=True)
class Batching:
    """What becomes of an operation that was exported for one frame when several come at a time.

    Attributes:
        fits: whether a node computes the same of each of several frames.
        shape: the operand that holds a shape, whose first number is that of frames.
    """

    fits: Callable[[Node, Frames], bool]
    shape: int | None = None


EACH = Batching(lambda node, frames: True)
TOGETHER = Batching(lambda node, frames: False)


def along(axis: int) -> Batching:
    """Of an operation along one axis, which is `axis` if the node does not say."""
    return Batching(lambda node, frames: node.attributes.get("axis", axis) != 0)


class Plain(Protocol):
    """A file of ONNX's own operations, as the host runs them, into which an operation that is none
    of these writes itself, in float64."""

    def add(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """An operation; returns what it makes."""
        ...

    def number(self, values: Any) -> str:
        """A constant in float64."""
        ...

    def exact(self, name: str) -> str:
        """A tensor of the network in float64."""
        ...

    def parameter(self, node: Node, index: int, what: str) -> NDArray[np.float64]:
        """An operand that decides how a node is written.

        Raises:
            HwflowError: it is computed.
        """
        ...


Write: TypeAlias = Callable[[Plain, Node], str]


@dataclass(frozen=True)
class Operation:
    """One operation, or several of one meaning.

    Attributes:
        types: its names.
        domain: of it; ONNX's own is empty.
        reads: attributes that translation and reference read. Any other is refused, unless it has
            its default; see `check`.
        idle: attributes that change nothing of what is computed.
        normal: attributes that the normal form has with this value, or not at all: translation
            writes out what others mean.
        translate: brings it to normal form; None: hardware does not know it, and only the host
            may run it.
        fold: computes it of constants where these are integers and scales, or where ONNX does not
            know it; None: ONNX's reference computes it.
        evaluate: the float64 reference; None: it is not in the normal form.
        lowering: name of the rule in `hwflow.dataflow` that makes hardware of it; None: there is
            none.
        joining: the same where several operands are activations.
        batching: what several frames at a time are to it.
        product: whether it multiplies by weights, which has to be hardware.
        quantizes: whether it makes integers times a scale, of weights or activations.
        codes: whether activations behind it are codes, in the normal form.
        rounds: whether it makes those of real values; its codes can be the accelerator's input.
        chooses: whether it gives classes; nothing can follow.
        keeps_axes: whether it leaves the axes of an activation where they are.
        result: which of its outputs counts.
        spare_outputs: whether it has others, that are not used.
        exact: whether onnxruntime computes it in float64 too.
        slow: whether ONNX's reference takes long for it.
        execute: how ONNX's reference runs it in a file, of arrays; None: it is one of ONNX's own,
            or `evaluate` does.
        write: writes it in operations of ONNX's own, for the host; None: it is one.
        write_codes: the same, of a quantizer's integers.
        not_in_qcdq: why QCDQ does not express a node, from it and the file's initializers, if so;
            None: it expresses all of them.
    """

    types: tuple[str, ...]
    domain: str = ""
    reads: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()
    normal: Mapping[str, Any] = field(default_factory=dict)
    translate: Translate | None = None
    fold: Fold | None = None
    evaluate: Evaluate | None = None
    lowering: str | None = None
    joining: str | None = None
    batching: Batching = TOGETHER
    product: bool = False
    quantizes: bool = False
    codes: bool = False
    rounds: bool = False
    chooses: bool = False
    keeps_axes: bool = False
    result: int = 0
    spare_outputs: bool = False
    exact: bool = False
    slow: bool = False
    execute: Execute | None = None
    write: Write | None = None
    write_codes: Write | None = None
    not_in_qcdq: Callable[[Node, Mapping[str, NDArray[Any]]], str | None] | None = None

    def check(self, node: Node, opset: int) -> None:
        """Refuse attributes that nothing here reads.

        Args:
            node: of this operation.
            opset: version of ONNX's operations, whose defaults are taken.

        Raises:
            RequestError: names the node and the attribute.
        """
        known = self.reads | self.idle
        defaults = {} if self.domain else _defaults(node.kind, opset)
        for name, value in node.attributes.items():
            if name in known or (name in defaults and defaults[name] == value):
                continue
            without = f", or with its default, {shown(defaults[name])}" if name in defaults else ""
            raise node.refusal(
                f"the attribute {name}={shown(value)} of {node.kind} is not supported",
                f"export it without {name}{without}",
            )

    def check_normal(self, node: Node, opset: int) -> None:
        """Refuse what the normal form does not have.

        Raises:
            HwflowError: names the node and the attribute.
        """
        self.check(node, opset)
        for name, value in self.normal.items():
            if node.attributes.get(name, value) != value:
                raise HwflowError(
                    f"{node.name}: {node.kind} with {name}={shown(node.attributes[name])} is not"
                    " in normal form",
                    hint=f"import the model file, which writes out what {name} means",
                )


def shown(value: Any) -> str:
    """An attribute's value for a message, in a few words."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) < 40 else f"{text[:37]}..."


@cache
def _defaults(kind: str, opset: int) -> dict[str, Any]:
    """What ONNX takes for attributes that are left out."""
    try:
        schema = onnx.defs.get_schema(kind, opset, "")
    except onnx.defs.SchemaError:
        return {}
    return {
        name: onnx.helper.get_attribute_value(attribute.default_value)
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name
    }
