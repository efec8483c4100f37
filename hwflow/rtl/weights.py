"""Weight memories as files that `$readmemh` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_weights(path: Path, weights: NDArray[np.floating], pe: int, simd: int, bits: int) -> None:
    """Write the memory that streams a linear layer's weights, one word a line.

    The words come neuron fold by neuron fold and in each input fold by input fold; the weight of
    PE p for input s lies at bit (p * simd + s) * bits of a word, in two's complement. That is the
    order of FINN's own files, which take minutes for a million weights.

    Args:
        path: written to.
        weights: integers (inputs, neurons).
        pe, simd: folding, dividing neurons and inputs.
        bits: of a weight.
    """
    inputs, neurons = weights.shape
    folds = weights.T.astype(np.int64).reshape(neurons // pe, pe, inputs // simd, simd)
    numbers = folds.transpose(0, 2, 1, 3).reshape(-1, pe * simd)
    ones = ((numbers[..., None] >> np.arange(bits)) & 1).astype(np.uint8)
    digits = -(-pe * simd * bits // 4)
    padded = np.zeros((len(numbers), 8 * -(-digits // 2)), np.uint8)
    padded[:, : pe * simd * bits] = ones.reshape(len(numbers), -1)
    words = np.packbits(padded, axis=1, bitorder="little")[:, ::-1]
    lines = [word.tobytes().hex()[-digits:] for word in words]
    path.write_text("\n".join([*lines, ""]))
