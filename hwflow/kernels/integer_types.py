"""FINN's data types as kernels see them."""

from __future__ import annotations

from typing import Any

from qonnx.core.datatype import DataType

from hwflow.errors import HwflowError


def integer_type(low: int, high: int) -> Any:
    """The integer type of the fewest bits that holds all from `low` to `high`.

    QONNX's own search goes by one number, the greatest in magnitude, and may find a type that
    lacks others: for -1 the bipolar one, which has no 0.
    """
    if low >= 0:
        return DataType[f"UINT{max(1, int(high).bit_length())}"]
    return DataType[f"INT{max(2, signed_bits(low, high))}"]


def signed_bits(low: int, high: int) -> int:
    """Bits that two's complement needs for all from `low` to `high`."""
    return int(max(-low - 1, high, 0)).bit_length() + 1


def number_parameters(datatype: Any, layer: str) -> dict[str, int]:
    """How a kernel reads the numbers of a stream: IN_BITS, SIGNED and BIPOLAR.

    Raises:
        HwflowError: they are no integers; names the layer.
    """
    if not datatype.is_integer():
        raise HwflowError(
            f"{layer}: its input is of type {datatype.name}, and this kernel takes integers",
            hint="put a quantizer before the layer",
        )
    bipolar = datatype == DataType["BIPOLAR"]
    return {
        "IN_BITS": datatype.bitwidth(),
        "SIGNED": int(datatype.signed() and not bipolar),
        "BIPOLAR": int(bipolar),
    }
