"""The memories of a fabric: how much of it a memory of a certain size takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Words of a block RAM of 18 kbit by their width, one port reading and one writing: those of AMD's
# 7 series and UltraScale+ (UG473, UG573), and of ECP5 (FPGA-TN-02204).
BLOCK_18K = ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512))


@dataclass(frozen=True)
class BlockRam:
    """Block RAM, counted in blocks of 18 kbit.

    Attributes:
        shapes: widths that a block can have, ascending, and its words then.
    """

    shapes: tuple[tuple[int, int], ...] = BLOCK_18K

    def blocks(self, words: int, bits: int) -> int:
        """Blocks of a memory, by the cheapest cut of its words into columns of one width."""
        return min(
            math.ceil(bits / width) * math.ceil(words / depth) for width, depth in self.shapes
        )


@dataclass(frozen=True)
class LutCell:
    """LUTs that make up a memory of `words` words of `bits` bits together."""

    words: int
    bits: int
    luts: int


@dataclass(frozen=True)
class LutRam:
    """Memories made of LUTs, written on a clock and read without one.

    Attributes:
        one_address: cells of memories that are read where they are written, short ones first.
        two_addresses: the same of memories that are read elsewhere.
        joined: outputs of cells between which a LUT for each bit chooses, beside what the slice
            itself chooses between where there is one address.
        weights: cell of memories that kernels leave to synthesis: weights, of one address.
    """

    one_address: tuple[LutCell, ...]
    two_addresses: tuple[LutCell, ...]
    joined: float
    weights: LutCell

    def luts(self, words: int, bits: int, one_address: bool) -> int:
        """LUTs that hold a memory, and those that choose between them."""
        cells = self.one_address if one_address else self.two_addresses
        cell = next((cell for cell in cells if words <= cell.words), cells[-1])
        rows = math.ceil(words / cell.words)
        held = rows * cell.luts * math.ceil(bits / cell.bits)
        chosen = rows / self.joined - 1 if one_address else (rows - 1) / self.joined
        return held + bits * max(0, math.ceil(chosen))

    def luts_of_weights(self, words: int, bits: int) -> int:
        """LUTs that hold a memory of weights."""
        cell = self.weights
        return math.ceil(words / cell.words) * cell.luts * math.ceil(bits / cell.bits)


@dataclass(frozen=True)
class Memories:
    """The memories that a fabric has.

    Attributes:
        block: block RAM.
        lut: LUT RAM.
        luts_a_block: LUTs that a kernel spends rather than a block: about as many as parts have
            of them for each block.
        luts_a_block_of_weights: LUTs that synthesis spends rather than a block, where the choice
            is its own.
    """

    block: BlockRam
    lut: LutRam
    luts_a_block: int
    luts_a_block_of_weights: int
