"""Weights as a memory file that `$readmemh` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qonnx.core.datatype import DataType

from hwflow.kernels.numbers import memory_file, weight_words


def write_weights(path: Path, weights: NDArray[np.floating], pe: int, simd: int, bits: int) -> None:
    """Write the memory that streams a linear layer's weights, one word a line.

    The words are those of hwflow's own units and of FINN's files, which take minutes for a million
    weights.

    Args:
        path: written to.
        weights: integers (inputs, neurons).
        pe, simd: folding, dividing neurons and inputs.
        bits: of a weight.
    """
    path.write_text(memory_file(weight_words(weights.T, pe, simd), DataType[f"INT{bits}"]))
