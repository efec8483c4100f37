"""Resize and Upsample to the nearest pixel by whole factors: each pixel repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwflow.errors import HwflowError
from hwflow.exchange.operations.operation import Operation
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation
from hwflow.exchange.values import Float, Quantized, Value, real


def translate(t: Translation, node: Node) -> Activation:
    """A Resize whose factors are given, and where each pixel comes from."""
    tensor = t.plain(node, t.tensor(node))
    file_shape = tensor.file_shape
    operands = [t.constants.real(name) for name in node.inputs[1:] if name]
    file_factors = [float(n) for n in operands[-1].reshape(-1)] if operands else []
    if node.has(3):  # Sizes.
        file_factors = [size / known for size, known in zip(file_factors, file_shape, strict=True)]
    elif "scales" in node.attributes:
        file_factors = [float(n) for n in node.attributes["scales"]]
    factors = [0.0] * len(file_shape)
    for position, axis in enumerate(tensor.axes):
        factors[axis] = file_factors[position] if position < len(file_factors) else 0.0
    whole = all(factor >= 1 and factor == int(factor) for factor in factors)
    if not whole or factors[:2] != [1, 1] or not _repeats(node):
        raise node.refusal(
            "a resize that is no repetition of pixels is not supported",
            "use nearest upsampling by whole factors",
        )
    shape = [size * int(factor) for size, factor in zip(tensor.shape, factors, strict=True)]
    scales = t.graph.parameter(f"{node.name}_scales", factors)
    output = t.add(
        node,
        "Resize",
        [tensor.name, "", scales],
        shape,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return replace(tensor, name=output, shape=tuple(shape), affine=None)


def _repeats(node: Node) -> bool:
    """Whether each pixel is repeated, and none drawn from its neighbours.

    Upsample rounds down, as a Resize does that is asymmetric.
    """
    if node.text("mode", "nearest") != "nearest":
        return False
    if node.kind == "Upsample":
        return True
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    rounds = node.text("nearest_mode", "round_prefer_floor")
    if coordinates == "asymmetric":
        return rounds == "floor"
    return coordinates in ("half_pixel", "pytorch_half_pixel") and rounds.startswith("round")


def repeated(operands: list[Value], node: Node) -> Value:
    """Each pixel a whole number of times; codes stay codes.

    Inputs are as of ONNX's Resize (x, [region,] scales or sizes) or Upsample (x, scales).

    Raises:
        HwflowError: it interpolates, or by no whole factor.
    """
    x = operands[0]
    shape = real(x).shape
    operand = np.asarray(real(operands[-1])).reshape(-1)
    sizes = node.has(3)
    keeps = len(operand) == len(shape) and operand[0] in (1, shape[0])
    keeps = keeps and operand[1] == (shape[1] if sizes else 1)
    factors = operand[2:] / np.asarray(shape[2:]) if sizes else operand[2:]
    whole = bool(np.all(factors >= 1) and np.all(factors == np.rint(factors)))
    if not (_repeats(node) and keeps and whole):
        raise HwflowError(
            "a resize that is no repetition of pixels is not supported",
            hint="use nearest upsampling by a whole factor",
        )

    def taller(numbers: Float) -> Float:
        for axis, factor in enumerate(factors):
            numbers = np.repeat(numbers, int(factor), axis=axis + 2)
        return numbers

    if isinstance(x, Quantized):
        return Quantized(taller(x.codes), x.scale, x.minimum, x.maximum, x.bipolar)
    return taller(x)


OPERATIONS = (
    Operation(
        ("Resize",),
        reads=frozenset({"mode", "coordinate_transformation_mode", "nearest_mode"}),
        # Of resizes that interpolate, or take a region; those are refused.
        idle=frozenset({"cubic_coeff_a", "exclude_outside", "extrapolation_value"}),
        translate=translate,
        evaluate=repeated,
        lowering="upsampling",
    ),
    Operation(
        ("Upsample",),
        reads=frozenset({"mode", "scales"}),
        translate=translate,
        evaluate=repeated,
        lowering="upsampling",
    ),
)
