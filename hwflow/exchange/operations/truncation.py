"""QONNX's Trunc, of both versions: leaves out the low bits of codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    rounded,
    rounding_mode,
    single,
    whole_bits,
)
from hwflow.exchange.operations.quantizers import range_of
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Quantized, Value, real, rounding


def translate(t: Translation, node: Node) -> Activation:
    """The same, its operands made scalars."""
    tensor = t.plain(node, t.tensor(node))
    names = ["scale", "zero point", "bit width"]
    names += ["bit width"] if len(node.inputs) == 5 else ["scale", "bit width"]
    values = [
        single(node, constant(t, node, index, what), f"{what}s")
        for index, what in enumerate(names, 1)
    ]
    if values[1]:
        raise node.refusal("the truncation has a zero point", "use symmetric quantizers")
    for what, value in zip(names, values, strict=True):
        if what == "bit width":
            bit_width(node, value)
        elif what == "scale":
            check_scale(node, np.asarray(value))
    mode = rounding_mode(node, "FLOOR")
    attributes = {
        name: int(v) for name, v in node.attributes.items() if name in ("signed", "narrow")
    }
    operands = [t.graph.parameter(f"{node.name}_{n}", value) for n, value in enumerate(values, 1)]
    output = t.add(
        node,
        "Trunc",
        [tensor.name, *operands],
        tensor.shape,
        domain=QONNX,
        rounding_mode=mode,
        **attributes,
    )
    return replace(tensor, name=output, affine=None, quantized=True)


def truncated(operands: list[Value], node: Node) -> Value:
    """The codes behind a Trunc.

    Inputs are x, scale, zero point, bits, [output scale,] output bits. The first version knows
    neither sign nor output scale: its codes stay in the scale that they come in.

    Raises:
        HwflowError: a zero point other than 0, or a rounding mode that is not known.
    """
    x, scale, zero_point, bits, *rest = (real(v) for v in operands)
    if np.any(zero_point != 0):
        raise HwflowError(
            "a truncation has a zero point other than 0", hint="use symmetric quantizers"
        )
    codes = np.rint(x / scale)
    round_ = rounding(dict(node.attributes), "FLOOR")
    output_bits = int(rest[-1].item())
    if len(rest) == 1:
        low, high = -(2 ** (output_bits - 1)), 2**output_bits - 1
        return Quantized(round_(codes / 2.0 ** (int(bits.item()) - output_bits)), scale, low, high)
    step = 2.0 ** np.rint(np.log2(rest[0] / scale))
    low, high = range_of(node, output_bits)
    return Quantized(round_(np.clip(codes / step, low, high)), rest[0], low, high)


def _write(file: Plain, node: Node) -> str:
    """The real values in ONNX's own operations, as `truncated`."""
    if np.any(file.parameter(node, 2, "zero point")):
        raise HwflowError(
            f"{node.name}: a Trunc with a zero point other than 0 is not supported",
            hint="use symmetric quantizers",
        )
    scale = file.parameter(node, 1, "scale")
    x, step_before = file.exact(node.inputs[0]), file.exact(node.inputs[1])
    codes = file.add("Round", [file.add("Div", [x, step_before])])
    if len(node.inputs) == 5:
        step = 2.0 ** (whole_bits(file, node, 3) - whole_bits(file, node, 4))
        short = file.add("Div", [codes, file.number(step)])
        return file.add("Mul", [rounded(file, node, short, "FLOOR"), file.exact(node.inputs[1])])
    steps = 2.0 ** np.rint(np.log2(file.parameter(node, 4, "output scale") / scale))
    low, high = range_of(node, whole_bits(file, node, 5))
    short = clipped(file, file.add("Div", [codes, file.number(steps)]), low, high)
    return file.add("Mul", [rounded(file, node, short, "FLOOR"), file.exact(node.inputs[4])])


def _not_in_qcdq(node: Node, values: Mapping[str, NDArray[Any]]) -> str | None:
    if node.text("rounding_mode", "FLOOR").upper() == "ROUND":
        return None
    return "QCDQ rounds to the nearest where TruncAvgPool2d leaves low bits out"


OPERATIONS = (
    Operation(
        ("Trunc",),
        QONNX,
        reads=frozenset({"signed", "narrow", "rounding_mode"}),
        # The integers that it leaves bits out of are known already; it rounds no real values.
        translate=translate,
        evaluate=truncated,
        lowering="quantizer",
        batching=EACH,
        quantizes=True,
        codes=True,
        exact=True,
        write=_write,
        not_in_qcdq=_not_in_qcdq,
    ),
)
