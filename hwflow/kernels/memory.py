"""What memories of one write and one read port cost, and what they are made of."""

from __future__ import annotations

import math

# LUTs that a RAMB18 is worth: about as many as a Zynq-7020 has of them for each.
_LUTS_A_BLOCK = 190
# Words of a RAMB18 by width, in simple dual port mode.
_RAMB18 = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))


def ram_style(words: int, bits: int) -> str:
    """Attribute `ram_style` of a memory: the cheaper of LUTs and block RAM."""
    blocks = _blocks(words, bits)
    return "block" if _luts(words, bits) > _LUTS_A_BLOCK * blocks else "distributed"


def memory_luts(words: int, bits: int) -> int:
    """LUTs of a memory where `ram_style` makes it of them, else 0."""
    return _luts(words, bits) if ram_style(words, bits) == "distributed" else 0


def memory_blocks(words: int, bits: int) -> int:
    """RAMB18 blocks of a memory where `ram_style` makes it of them, else 0."""
    return _blocks(words, bits) if ram_style(words, bits) == "block" else 0


def _luts(words: int, bits: int) -> int:
    """RAM32M holds 32 words of 6 bits in 4 LUTs, RAM64M 64 of 3; a LUT chooses between four."""
    if words <= 32:
        return 4 * math.ceil(bits / 6)
    rows = math.ceil(words / 64)
    return 4 * math.ceil(bits / 3) * rows + bits * math.ceil((rows - 1) / 4)


def _blocks(words: int, bits: int) -> int:
    """The cheapest cut of the words into columns of one width."""
    return min(math.ceil(bits / width) * math.ceil(words / depth) for width, depth in _RAMB18)
