"""Quantizers of activations: QONNX's, and QuantizeLinear, Clip and DequantizeLinear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.exchange.importing.constants import along_axis, bit_width, check_scale, single
from hwflow.exchange.importing.graph import Tensor
from hwflow.exchange.importing.nodes import Codes, Node, Value
from hwflow.exchange.importing.normal import Translator
from hwflow.exchange.values import quantizer_range

MODES = ("ROUND", "HALF_EVEN", "FLOOR", "CEIL")


def constant(t: Translator, node: Node, place: int, what: str) -> NDArray[Any]:
    """A quantizer's parameter.

    Raises:
        RequestError: it is computed from the input.
    """
    name = node.inputs[place]
    if name not in t.constants:
        raise node.refusal(
            f"the quantizer's {what} is computed from the input",
            "export a network in eval mode, its scales fixed",
        )
    return np.asarray(t.constants.real(name))


def rounding_mode(node: Node, default: bytes) -> str:
    """The name of a quantizer's rounding mode.

    Raises:
        RequestError: it is one that is not known.
    """
    name = bytes(node.attributes.get("rounding_mode", default)).decode().upper()
    if name not in MODES:
        raise node.refusal(
            f"the rounding mode {name} is not supported", f"supported are {', '.join(MODES)}"
        )
    return name


def quant(t: Translator, node: Node) -> Value:
    """QONNX's Quant, called IntQuant too."""
    tensor = t.tensor(node)
    scale = constant(t, node, 1, "scale").astype(np.float64)
    check_scale(node.proto, scale)
    zero = single(node.proto, constant(t, node, 2, "zero point"), "zero points")
    bits = bit_width(node.proto, constant(t, node, 3, "bit width"))
    signed = bool(node.attributes.get("signed", 1))
    mode = rounding_mode(node, b"ROUND")
    if bits == 1 and signed:
        return t.quantize(node, tensor, scale, -1, 1, bipolar=True)
    low, high = quantizer_range(bits, signed, bool(node.attributes.get("narrow", 0)))
    shift = _shift(node, zero, mode)
    return t.quantize(node, tensor, scale, low - shift, high - shift, mode=mode)


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


def bipolar_quant(t: Translator, node: Node) -> Value:
    """QONNX's BipolarQuant."""
    scale = constant(t, node, 1, "scale").astype(np.float64)
    check_scale(node.proto, scale)
    return t.quantize(node, t.tensor(node), scale, -1, 1, bipolar=True)


def trunc(t: Translator, node: Node) -> Value:
    """QONNX's Trunc of either version, its operands made scalars."""
    tensor = t.plain(node, t.tensor(node))
    names = ["scale", "zero point", "bit width"]
    names += ["bit width"] if len(node.inputs) == 5 else ["scale", "bit width"]
    values = [
        single(node.proto, constant(t, node, place, what), f"{what}s")
        for place, what in enumerate(names, 1)
    ]
    if values[1]:
        raise node.refusal("the truncation has a zero point", "use symmetric quantizers")
    for what, value in zip(names, values, strict=True):
        if what == "bit width":
            bit_width(node.proto, value)
        elif what == "scale":
            check_scale(node.proto, np.asarray(value))
    mode = rounding_mode(node, b"FLOOR")
    kept = {name: int(v) for name, v in node.attributes.items() if name in ("signed", "narrow")}
    operands = [t.graph.parameter(f"{node.name}_{n}", value) for n, value in enumerate(values, 1)]
    made = t.graph.add(
        "Trunc",
        [tensor.name, *operands],
        tensor.shape,
        name=node.name,
        output=node.proto.output[0],
        rounding_mode=mode,
        **kept,
    )
    return replace(tensor, name=made, affine=None, quantized=True)


def float_quant(t: Translator, node: Node) -> Value:
    """QONNX's FloatQuant: there is no hardware for minifloats."""
    raise node.refusal(
        "minifloats (FloatQuant) are not supported", "quantize to integers, of 8 bits at the most"
    )


# -------------------------------------------------------------------------------------- QCDQ


def quantize_linear(t: Translator, node: Node) -> Value:
    """QuantizeLinear: integers, to be clipped and given their scale back."""
    tensor = t.tensor(node)
    scale = constant(t, node, 1, "scale").astype(np.float64)
    check_scale(node.proto, scale)
    scale = along_axis(scale, len(tensor.file_shape), node.attributes)
    zero = np.zeros((), np.uint8)
    if len(node.inputs) > 2 and node.inputs[2]:
        zero = constant(t, node, 2, "zero point")
    if zero.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
        raise node.refusal(
            f"integers of type {zero.dtype} are not supported", "quantize to int8 or uint8"
        )
    ends = np.iinfo(zero.dtype)
    shift = int(single(node.proto, zero, "zero points"))
    return Codes(tensor, scale, shift, int(ends.min), int(ends.max))


def clip_codes(t: Translator, node: Node, codes: Codes) -> Codes:
    """Clip between QuantizeLinear and DequantizeLinear: the integers are of fewer bits."""
    low, high = clip_ends(t, node, codes.low, codes.high)
    return replace(codes, low=max(codes.low, int(low)), high=min(codes.high, int(high)))


def clip_ends(t: Translator, node: Node, low: float, high: float) -> tuple[float, float]:
    """The bounds of a Clip, operands since opset 11, attributes before; the defaults else."""
    ends = [float(node.attributes.get("min", low)), float(node.attributes.get("max", high))]
    for place in (1, 2):
        if len(node.inputs) > place and node.inputs[place]:
            ends[place - 1] = float(constant(t, node, place, "bound").item())
    return ends[0], ends[1]


def dequantize_linear(t: Translator, node: Node) -> Value:
    """DequantizeLinear of what QuantizeLinear made: a quantizer."""
    codes = t.values.get(node.inputs[0])
    if isinstance(codes, Tensor) and codes.affine is not None and t.grid is not None:
        return _given_integers(t, node, codes)
    if not isinstance(codes, Codes):
        raise node.refusal(
            "its input is not what QuantizeLinear made", "put QuantizeLinear in front of it"
        )
    scale = constant(t, node, 1, "scale").astype(np.float64)
    scale = along_axis(scale, len(codes.tensor.file_shape), node.attributes)
    zero = 0
    if len(node.inputs) > 2 and node.inputs[2]:
        zero = int(single(node.proto, constant(t, node, 2, "zero point"), "zero points"))
    same = scale.shape == codes.scale.shape and np.array_equal(scale, codes.scale)
    if not same or zero != codes.zero:
        raise node.refusal(
            "its scale or zero point is not that of its QuantizeLinear",
            "give both the same, or requantize with a pair of both",
        )
    low, high = codes.low - zero, codes.high - zero
    return t.quantize(node, codes.tensor, codes.scale, low, high)


def _given_integers(t: Translator, node: Node, tensor: Tensor) -> Value:
    """DequantizeLinear of a file whose input is integers: the input scaled."""
    assert tensor.affine is not None
    scale = single(node.proto, constant(t, node, 1, "scale"), "scales")
    zero = 0.0
    if len(node.inputs) > 2 and node.inputs[2]:
        zero = single(node.proto, constant(t, node, 2, "zero point"), "zero points")
    made = tensor.name
    affine = tensor.affine
    if zero:
        operand = t.graph.parameter(f"{node.name}_zero_point", zero)
        made = t.graph.add("Sub", [made, operand], tensor.shape, name=f"{node.name}_sub")
    operand = t.graph.parameter(f"{node.name}_scale", scale)
    made = t.graph.add(
        "Mul", [made, operand], tensor.shape, name=node.name, output=node.proto.output[0]
    )
    scaled = replace(affine, factor=affine.factor * scale, offset=(affine.offset - zero) * scale)
    return replace(tensor, name=made, affine=scaled)
