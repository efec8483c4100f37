"""Small integers as kernels take them: their kind, and words of many for a memory file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qonnx.core.datatype import DataType

from hwflow.costs.products import Number

UNSIGNED, SIGNED, BIPOLAR = 0, 1, 2


def kind(datatype: Any) -> int:
    """The KIND of dot_product.sv that a type of numbers has."""
    if datatype == DataType["BIPOLAR"]:
        return BIPOLAR
    return SIGNED if datatype.signed() else UNSIGNED


def number(datatype: Any) -> Number:
    """What costs know of a type of numbers."""
    bipolar = datatype == DataType["BIPOLAR"]
    return Number(datatype.bitwidth(), datatype.signed(), bipolar)


def weight_words(weights: NDArray[np.number], pe: int, simd: int) -> NDArray[np.number]:
    """Weights as the words of a unit that makes PE sums of SIMD products at a time.

    The words come output fold by output fold and in each of them term fold by term fold; the
    weight of PE p for term s is number p * simd + s of a word.

    Args:
        weights: (outputs, terms).
        pe, simd: folding, dividing outputs and terms.

    Returns:
        (depth, pe * simd).
    """
    folds = weights.reshape(len(weights) // pe, pe, -1, simd)
    return folds.transpose(0, 2, 1, 3).reshape(-1, pe * simd)


def memory_file(words: NDArray[np.number], datatype: Any) -> str:
    """A $readmemh file of words.

    Args:
        words: integers (depth, numbers of a word), number 0 into the least significant bits.
        datatype: of the numbers.
    """
    bits = datatype.bitwidth()
    codes = words.astype(np.int64)
    if datatype == DataType["BIPOLAR"]:
        codes = (codes + 1) // 2
    planes = (codes[..., None] >> np.arange(bits)) & 1
    flat = planes.astype(np.uint8).reshape(len(words), -1)
    digits = -(-flat.shape[1] // 4)
    packed = np.packbits(flat, axis=1, bitorder="little")
    lines = (int.from_bytes(row.tobytes(), "little") for row in packed)
    return "".join(f"{word:0{digits}x}\n" for word in lines)
