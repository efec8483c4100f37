"""Numbers to stream beats and back: element 0 of a beat lies in its least significant bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwflow.rtl import Port

Words = NDArray[np.uint32]


def words_per_beat(port: Port) -> int:
    """32-bit words that a padded beat occupies."""
    return -(-port.padded_width // 32)


def pack(codes: NDArray[np.integer], port: Port) -> Words:
    """Pack frames into beats.

    Args:
        codes: integers (N, beats * elements), each in the port's range.
        port: what the stream's beats look like.

    Returns:
        (N * beats, words): least significant word first.

    Raises:
        ValueError: a number does not fit its element.
    """
    values = np.asarray(codes, np.int64).reshape(-1, port.elements)
    if port.bipolar:
        values = (values + 1) // 2
    low, high = (
        (-(1 << (port.element_bits - 1)), (1 << (port.element_bits - 1)) - 1)
        if port.signed
        else (0, (1 << port.element_bits) - 1)
    )
    if values.size and (values.min() < low or values.max() > high):
        raise ValueError(f"values from {values.min()} to {values.max()} exceed [{low}, {high}]")
    shifts = np.arange(port.element_bits)
    bits = ((values[..., None] >> shifts) & 1).astype(np.uint8).reshape(len(values), -1)
    padded = np.zeros((len(values), 32 * words_per_beat(port)), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1, bitorder="little").view("<u4")


def unpack(words: Words, port: Port) -> NDArray[np.int64]:
    """The inverse of `pack`: (N * beats, words) to (N, beats * elements)."""
    raw = np.ascontiguousarray(words.reshape(-1, words_per_beat(port)), "<u4").view(np.uint8)
    bits = np.unpackbits(raw, axis=1, bitorder="little")
    bits = bits[:, : port.elements * port.element_bits]
    bits = bits.reshape(len(bits), port.elements, port.element_bits)
    weights = 1 << np.arange(port.element_bits, dtype=np.int64)
    if port.signed:
        weights[-1] = -weights[-1]
    values = bits.astype(np.int64) @ weights
    if port.bipolar:
        values = 2 * values - 1
    return values.reshape(-1, port.beats * port.elements)
