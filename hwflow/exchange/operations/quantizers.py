"""QONNX's quantizers: Quant, which is called IntQuant too, BipolarQuant and FloatQuant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.errors import HwflowError
from hwflow.exchange.domains import QONNX
from hwflow.exchange.operations.operation import EACH, Operation, Plain
from hwflow.exchange.operations.parameters import (
    bit_width,
    check_scale,
    clipped,
    constant,
    float32,
    rounded,
    rounding_mode,
    single,
    whole_bits,
)
from hwflow.exchange.translation.constants import Constant, Constants, narrowest
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized, Value, quantizer_range, real, rounding

# Bits of the integers that biases are in QCDQ.
BIAS_BITS = 32


def range_of(node: Node, bits: int) -> tuple[int, int]:
    """Least and greatest code of a quantizer that says whether it is signed and narrow."""
    signed, narrow = (bool(node.attributes.get(n, d)) for n, d in (("signed", 1), ("narrow", 0)))
    return quantizer_range(bits, signed, narrow)


# ---------------------------------------------------------------------------------------- Quant


def quant(t: Translation, node: Node) -> Activation:
    """An activation's quantizer, its zero point in the range."""
    tensor = t.tensor(node)
    scale = constant(t, node, 1, "scale").astype(np.float64)
    check_scale(node, scale)
    zero = single(node, constant(t, node, 2, "zero point"), "zero points")
    bits = bit_width(node, constant(t, node, 3, "bit width"))
    mode = rounding_mode(node, "ROUND")
    if bits == 1 and node.attributes.get("signed", 1):
        return t.quantize(node, tensor, scale, -1, 1, bipolar=True)
    low, high = range_of(node, bits)
    shift = _shift(node, zero, mode)
    return t.quantize(node, tensor, scale, low - shift, high - shift, mode=mode, zero=shift)


def _shift(node: Node, zero: float, mode: str) -> int:
    """The zero point, where integers shifted by it round as they do.

    Half way, rounding to even goes by the shifted integer; others go by its sign.
    """
    exact = {"FLOOR": 1, "CEIL": 1, "ROUND": 2, "HALF_EVEN": 2}.get(mode)
    if zero and (exact is None or zero % exact):
        raise node.refusal(
            f"the quantizer has the zero point {zero:g}",
            "use symmetric quantizers, with zero point 0",
        )
    return int(zero)


def quantized_constant(constants: Constants, node: Node) -> Constant:
    """A Quant of a constant: rounded in float32, as the file's execution does it."""
    values, scale, zero_point, bits = (float32(x) for x in constants.operands(node))
    check_scale(node, scale)
    width, zero = bit_width(node, bits), single(node, zero_point, "zero points")
    if width == 1 and node.attributes.get("signed", 1):
        return _signs(values, scale)
    low, high = range_of(node, width)
    round_ = rounding(dict(node.attributes), "ROUND")
    codes = round_(np.clip(values / scale + np.float32(zero), low, high))
    shift = int(zero)
    return Quantized(
        codes.astype(np.float64) - shift,
        narrowest(scale.astype(np.float64)),
        low - shift,
        high - shift,
    )


def quantized(operands: list[Value], node: Node) -> Value:
    """The codes of a Quant.

    Raises:
        HwflowError: it has a zero point other than 0.
    """
    inputs, scale, zero_point, bits = (real(v) for v in operands)
    if np.any(zero_point != 0):
        raise HwflowError(
            "a quantizer has a zero point other than 0", hint="use symmetric quantizers"
        )
    low, high = range_of(node, int(bits.item()))
    round_ = rounding(dict(node.attributes), "ROUND")
    return Quantized(np.clip(round_(inputs / scale), low, high), scale, low, high)


def _execute_quant(operands: list[NDArray[Any]], node: Node) -> NDArray[Any]:
    from qonnx.custom_op.general.quant import quant as qonnx_quant

    attributes = node.attributes
    output = qonnx_quant(
        *operands,
        attributes.get("signed", 1),
        attributes.get("narrow", 0),
        node.text("rounding_mode", "ROUND"),
    )
    return np.asarray(output, np.float32)


def _write_codes(file: Plain, node: Node) -> str:
    """A Quant's integers in ONNX's own operations.

    Raises:
        HwflowError: a rounding mode that ONNX does not have, or bits that differ.
    """
    position = file.add("Div", [file.exact(node.inputs[0]), file.exact(node.inputs[1])])
    if np.any(file.parameter(node, 2, "zero point")):
        position = file.add("Add", [position, file.exact(node.inputs[2])])
    low, high = range_of(node, whole_bits(file, node, 3))
    return clipped(file, rounded(file, node, position, "ROUND"), low, high)


def _write_quant(file: Plain, node: Node) -> str:
    codes = _write_codes(file, node)
    if np.any(file.parameter(node, 2, "zero point")):
        codes = file.add("Sub", [codes, file.exact(node.inputs[2])])
    return file.add("Mul", [codes, file.exact(node.inputs[1])])


def _not_in_qcdq(node: Node, values: Mapping[str, NDArray[Any]]) -> str | None:
    if node.text("rounding_mode", "ROUND").upper() not in ("ROUND", "HALF_EVEN"):
        return "QCDQ rounds to the nearest only"
    numbers, scale, _, bits = (values.get(name) for name in node.inputs)
    if numbers is None or scale is None or bits is None or bits.item() < BIAS_BITS:
        return None
    # A quantizer clips to the greatest of 32-bit integers; float32 has that as 2^31, and a cast
    # makes it the least.
    with np.errstate(divide="ignore"):
        overflows = bool(np.any(np.abs(numbers / scale) >= 2.0 ** (BIAS_BITS - 1)))
    if not overflows:
        return None
    return (
        "the bias of a layer whose input is always 0 (the quantizer's scale has died) is more than"
        " QCDQ's 32-bit integers hold"
    )


# --------------------------------------------------------------------------------- BipolarQuant


def bipolar_quant(t: Translation, node: Node) -> Activation:
    """An activation's quantizer to -1 and +1."""
    scale = constant(t, node, 1, "scale").astype(np.float64)
    check_scale(node, scale)
    return t.quantize(node, t.tensor(node), scale, -1, 1, bipolar=True)


def _bipolar_constant(constants: Constants, node: Node) -> Constant:
    values, scale = (float32(x) for x in constants.operands(node))
    return _signs(values, scale)


def _signs(values: NDArray[np.float32], scale: NDArray[np.float32]) -> Quantized:
    codes = np.where(values >= 0, 1.0, -1.0)
    return Quantized(codes, narrowest(scale.astype(np.float64)), -1, 1, bipolar=True)


def _bipolar(operands: list[Value], node: Node) -> Value:
    inputs, scale = (real(v) for v in operands)
    return Quantized(np.where(inputs >= 0, 1.0, -1.0), scale, -1, 1, bipolar=True)


def _execute_bipolar(operands: list[NDArray[Any]], node: Node) -> NDArray[Any]:
    from qonnx.custom_op.general.bipolar_quant import binary_quant

    return np.asarray(binary_quant(*operands), np.float32)


def _write_signs(file: Plain, node: Node) -> str:
    one, zero = (file.number(value) for value in (1.0, 0.0))
    positive = file.add("GreaterOrEqual", [file.exact(node.inputs[0]), zero])
    return file.add("Where", [positive, one, file.number(-1.0)])


def _write_bipolar(file: Plain, node: Node) -> str:
    return file.add("Mul", [_write_signs(file, node), file.exact(node.inputs[1])])


# ----------------------------------------------------------------------------------- FloatQuant


def _minifloats(node: Node) -> Exception:
    return node.refusal(
        "minifloats (FloatQuant) are not supported", "quantize to integers, of 8 bits at the most"
    )


def _float_quant(t: Translation, node: Node) -> Activation:
    raise _minifloats(node)


def _float_constant(constants: Constants, node: Node) -> Constant:
    raise _minifloats(node)


OPERATIONS = (
    Operation(
        ("Quant", "IntQuant"),
        QONNX,
        reads=frozenset({"signed", "narrow", "rounding_mode"}),
        translate=quant,
        fold=quantized_constant,
        evaluate=quantized,
        lowering="quantizer",
        batching=EACH,
        quantizes=True,
        codes=True,
        rounds=True,
        keeps_axes=True,
        exact=True,
        execute=_execute_quant,
        write=_write_quant,
        write_codes=_write_codes,
        not_in_qcdq=_not_in_qcdq,
    ),
    Operation(
        ("BipolarQuant",),
        QONNX,
        translate=bipolar_quant,
        fold=_bipolar_constant,
        evaluate=_bipolar,
        lowering="quantizer",
        batching=EACH,
        quantizes=True,
        codes=True,
        rounds=True,
        keeps_axes=True,
        exact=True,
        execute=_execute_bipolar,
        write=_write_bipolar,
        write_codes=_write_signs,
        not_in_qcdq=lambda node, values: "QCDQ has no binary numbers (-1 and +1)",
    ),
    Operation(
        ("FloatQuant",),
        QONNX,
        translate=_float_quant,
        fold=_float_constant,
        batching=EACH,
        quantizes=True,
        not_in_qcdq=lambda node, values: "QCDQ has no minifloats",
    ),
)
