"""What the memories of kernels cost, and what they are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwflow.costs.block_ram import ramb18_blocks

# LUTs that a RAMB18 is worth: about as many as a Zynq-7020 has of them for each.
_LUTS_A_BLOCK = 190


@dataclass(frozen=True)
class Memory:
    """A memory that is written and read, of words that are registered when they are read.

    Attributes:
        words, bits: size; no words, no memory.
        one_address: whether it is read where it is written, so that one port will do.
    """

    words: int
    bits: int
    one_address: bool = False

    @property
    def style(self) -> str:
        """Attribute `ram_style`: the cheaper of LUTs and block RAM, registers for a single word."""
        if self.words <= 1:
            return "registers"
        worth = _LUTS_A_BLOCK * ramb18_blocks(self.words, self.bits)
        return "block" if self._luts() > worth else "distributed"

    @property
    def luts(self) -> int:
        """LUTs that hold it and choose between them; none where it is block RAM."""
        return self._luts() if self.style == "distributed" else 0

    @property
    def blocks(self) -> int:
        """RAMB18 blocks that hold it; none where it is made of LUTs."""
        return ramb18_blocks(self.words, self.bits) if self.style == "block" else 0

    def _luts(self) -> int:
        """Four LUTs hold 32 words of 8 bits or 64 of 4 (AMD UG474); reading at another address
        takes a quarter of them. What chooses between 4 such is part of the slice or a LUT."""
        if self.words <= 32:
            return 4 * math.ceil(self.bits / (8 if self.one_address else 6))
        rows = math.ceil(self.words / 64)
        held = rows * 4 * math.ceil(self.bits / (4 if self.one_address else 3))
        chosen = math.ceil(rows / 4) - 1 if self.one_address else math.ceil((rows - 1) / 4)
        return held + self.bits * chosen
