"""What flows through the software reference: real values, and integers with a scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwflow.errors import HwflowError

Float: TypeAlias = NDArray[np.float64]

# Scales that a float32 export rounded apart are one scale: a bias in accumulator units carries
# float32(s_x * s_w), the accumulator s_x * s_w.
SAME_SCALE = 1e-6
# Integers up to here are exact in float64, which is the container of codes and accumulators.
EXACT = 2.0**53


@dataclass(frozen=True)
class Quantized:
    """A tensor of value `codes * scale`: integer codes (exact in float64) and their scale.

    Attributes:
        codes: integers, shape (N, ...) for activations, any shape for parameters.
        scale: scalar array, or an array that broadcasts against `codes`.
        minimum, maximum: range that the codes are confined to.
        bipolar: whether the codes are -1 and +1 only.
    """

    codes: Float
    scale: Float
    minimum: int
    maximum: int
    bipolar: bool = False

    @property
    def value(self) -> Float:
        """The real value, float64."""
        return self.codes * self.scale


Value: TypeAlias = "Float | Quantized"


def real(value: Value) -> Float:
    """The real value of a plain or quantized tensor."""
    return value.value if isinstance(value, Quantized) else value


def quantizer_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Least and greatest code of a `Quant` node."""
    if signed:
        return -(2 ** (bits - 1)) + int(narrow), 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - int(narrow)


def rounding(attributes: dict[str, Any], default: str) -> Callable[[Float], Float]:
    """What a quantizer's attribute `rounding_mode` says.

    Raises:
        HwflowError: the mode is not known.
    """
    mode = attributes.get("rounding_mode", default.encode()).decode().upper()
    modes: dict[str, Callable[[Float], Float]] = {
        "ROUND": np.rint,
        "HALF_EVEN": np.rint,
        "FLOOR": np.floor,
        "CEIL": np.ceil,
    }
    if mode not in modes:
        raise HwflowError(
            f"the rounding mode {mode} of a quantizer is not supported",
            hint=f"one of {', '.join(modes)}",
        )
    return modes[mode]
