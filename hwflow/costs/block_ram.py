"""Block RAM of 7-series and UltraScale+ parts."""

from __future__ import annotations

import math

# Words of one RAMB18 by their width, one port reading and one writing (AMD UG473).
RAMB18 = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))


def ramb18_blocks(words: int, bits: int) -> int:
    """RAMB18 blocks of a memory, by the cheapest cut of its words into columns of one width."""
    return min(math.ceil(bits / width) * math.ceil(words / depth) for width, depth in RAMB18)
