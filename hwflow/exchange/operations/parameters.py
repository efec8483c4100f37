"""Parameters of quantizers: scales, zero points, bit widths, rounding modes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.errors import HwflowError
from hwflow.exchange.operations.operation import Plain
from hwflow.exchange.translation.constants import Constant
from hwflow.exchange.translation.nodes import Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized

MODES = ("ROUND", "HALF_EVEN", "FLOOR", "CEIL")
# ONNX's operations that round as a quantizer's mode does.
ROUNDINGS = {"ROUND": "Round", "HALF_EVEN": "Round", "FLOOR": "Floor", "CEIL": "Ceil"}


def constant(t: Translation, node: Node, index: int, what: str) -> NDArray[Any]:
    """A quantizer's parameter.

    Raises:
        RequestError: it is computed from the input.
    """
    name = node.inputs[index]
    if name not in t.constants:
        raise node.refusal(
            f"the quantizer's {what} is computed from the input",
            "export a network in eval mode, its scales fixed",
        )
    return np.asarray(t.constants.real(name))


def single(node: Node, values: Any, what: str) -> float:
    """The one value of a constant that may be repeated.

    Raises:
        RequestError: there are several.
    """
    distinct = np.unique(np.asarray(values, np.float64))
    if len(distinct) != 1:
        raise node.refusal(
            f"the quantizer has {len(distinct)} different {what}",
            f"quantize a tensor with one {what.rstrip('s')}",
        )
    return float(distinct[0])


def bit_width(node: Node, values: Any) -> int:
    """The bits of a quantizer, be they integer or floating-point numbers.

    Raises:
        RequestError: there are several, or no whole number of them.
    """
    bits = single(node, values, "bit widths")
    if bits != int(bits) or bits < 1:
        raise node.refusal(
            f"the quantizer has {bits:g} bits", "export with bit widths that are whole numbers"
        )
    return int(bits)


def check_scale(node: Node, scale: NDArray[Any]) -> None:
    """Refuse scales that are not positive."""
    if not np.all(np.isfinite(scale)) or np.any(scale <= 0):
        raise node.refusal(
            "the quantizer has a scale that is not positive", "quantize with positive scales"
        )


def rounding_mode(node: Node, default: str) -> str:
    """The name of a quantizer's rounding mode.

    Raises:
        RequestError: it is one that is not known.
    """
    name = node.text("rounding_mode", default).upper()
    if name not in MODES:
        raise node.refusal(
            f"the rounding mode {name} is not supported", f"supported are {', '.join(MODES)}"
        )
    return name


def plain_values(value: Constant) -> NDArray[Any]:
    """The real values of a constant."""
    return value.value if isinstance(value, Quantized) else value


def float32(value: Constant) -> NDArray[np.float32]:
    """The real values of a constant as the file's execution has them."""
    return np.asarray(plain_values(value), np.float32)


# ---------------------------------------------------------------------------- as ONNX writes them


def whole_bits(file: Plain, node: Node, index: int) -> int:
    """The bits of a quantizer that is written in ONNX's own operations.

    Raises:
        HwflowError: they differ, or are no whole number.
    """
    bits = file.parameter(node, index, "bit width")
    if bits.size != 1 or bits.item() != np.rint(bits.item()):
        raise HwflowError(
            f"{node.name}: the bit width of the quantizer is no whole number",
            hint="use one whole number of bits",
        )
    return int(bits.item())


def rounded(file: Plain, node: Node, position: str, default: str) -> str:
    """A tensor rounded as a quantizer does.

    Raises:
        HwflowError: ONNX does not have its rounding mode.
    """
    mode = node.text("rounding_mode", default).upper()
    if mode not in ROUNDINGS:
        raise HwflowError(
            f"{node.name}: the host does not express the rounding mode {mode}",
            hint=f"one of {', '.join(ROUNDINGS)}",
        )
    return file.add(ROUNDINGS[mode], [position])


def clipped(file: Plain, tensor: str, low: int, high: int) -> str:
    """A tensor clipped to a range."""
    return file.add("Clip", [tensor, *(file.number(end) for end in (low, high))])
