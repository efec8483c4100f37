"""What the memories of kernels cost, and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass

from hwflow.families import family_of


@dataclass(frozen=True)
class Memory:
    """A memory that is written and read, of words that are registered when they are read.

    What it is made of depends on the FPGA part: the family's memories decide.

    Attributes:
        words, bits: size; no words, no memory.
        one_address: whether it is read where it is written, so that one port will do.
    """

    words: int
    bits: int
    one_address: bool = False

    def style(self, part: str) -> str:
        """Attribute `ram_style`: the cheaper of LUTs and block RAM, registers for a single word."""
        if self.words <= 1:
            return "registers"
        memories = family_of(part).fabric.memories
        worth = memories.luts_a_block * memories.block.blocks(self.words, self.bits)
        luts = memories.lut.luts(self.words, self.bits, self.one_address)
        return "block" if luts > worth else "distributed"

    def luts(self, part: str) -> int:
        """LUTs that hold it and choose between them; none where it is block RAM."""
        if self.style(part) != "distributed":
            return 0
        lut = family_of(part).fabric.memories.lut
        return lut.luts(self.words, self.bits, self.one_address)

    def blocks(self, part: str) -> int:
        """Block RAMs (18 kbit) that hold it; none where it is made of LUTs."""
        if self.style(part) != "block":
            return 0
        return family_of(part).fabric.memories.block.blocks(self.words, self.bits)
