"""LUTs and DSP blocks of units that multiply with hwflow's own kernels, counted as they are built.

`dot_product.sv` explains the parts. The counts are scaled to what Yosys 0.70 makes of them: 1 to
512 products a cycle, operands of 1 to 8 bits, 1 to 18,432 words of weights. They are within 21 %
of its LUTs, on average 6 %, where there are more than four words, and within 30 % else
(tests/test_products.py has the figures).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwflow.families.memories import Memories

# LUTs that Yosys 0.70, synth_xilinx, takes for one counted, and for control. Of a unit with few
# words of weights it finds choices equal or already made: all of them where there is one word.
SCALE, CONTROL = 0.95, 50.0
FEW_WORDS, FEW_SCALE, CONSTANT_SCALE = 4, 0.6, 0.28
# The same for binary numbers: for each product and each bit of a sum, and for control.
XNOR_BIT, XNOR_SUM, XNOR_CONTROL = 2.4, 1.1, 24.0
# Words up to which a memory of weights is logic (see weight_memory.sv), and its LUTs a bit.
LOGIC_WORDS, LOGIC_BIT = 32, 0.7
# Bits of the narrowest product that goes into a DSP block: of less than that, synthesis makes LUTs
# (AMD UG901, and Yosys likewise).
DSP_BITS = 9


@dataclass(frozen=True)
class Number:
    """A type of small integers: unsigned, two's complement, or bipolar (-1 and +1, one bit)."""

    bits: int
    signed: bool = True
    bipolar: bool = False


@dataclass(frozen=True)
class Products:
    """A unit that makes `outputs` sums of `terms` products, `pe` sums and `simd` terms at a time.

    Attributes:
        weights, inputs: types of the operands.
        sum_bits: width of a sum.
        depthwise: each sum has inputs of its own; else all have the same, which are kept.
    """

    terms: int
    outputs: int
    simd: int
    pe: int
    weights: Number
    inputs: Number
    sum_bits: int
    depthwise: bool = False

    @property
    def words(self) -> int:
        """Depth of the memory of weights."""
        return (self.terms // self.simd) * (self.outputs // self.pe)

    @property
    def word_bits(self) -> int:
        """Width of the memory of weights."""
        return self.pe * self.simd * self.weights.bits

    @property
    def input_bits(self) -> int:
        """Width of an input as number; a bipolar one has two bits."""
        return self.inputs.bits + self.inputs.bipolar


def takes_dsps(weights: Number, inputs: Number) -> bool:
    """Whether the product of two types of numbers goes into a DSP block.

    Bipolar numbers are no multiplier's. It is signed: an unsigned number takes a bit more.
    """
    if weights.bipolar or inputs.bipolar:
        return False
    return sum(number.bits + (not number.signed) for number in (weights, inputs)) >= DSP_BITS


def luts(unit: Products, memories: Memories) -> int:
    """LUTs of a unit without DSP blocks (LutMVAU_rtl, VVAU_rtl)."""
    shared = _shared(unit) * (unit.pe if unit.depthwise else 1)
    counted = unit.pe * (_dot_product(unit) + _accumulator(unit)) + shared
    return _fitted(unit, counted, memories) + _buffer(unit, memories)


def luts_beside_dsps(unit: Products, memories: Memories) -> int:
    """LUTs of a unit whose products are in DSP blocks (VVAU_rtl)."""
    # The first adder behind a multiplier is in its DSP block.
    pairs, product = math.ceil(unit.simd / 2), unit.weights.bits + unit.inputs.bits
    adders = _tree(pairs, product + 1, True) + _accumulator(unit) if unit.simd > 1 else 0
    return _fitted(unit, unit.pe * adders, memories)


def memory(words: int, bits: int, memories: Memories) -> tuple[int, int]:
    """LUTs and block RAMs (18 kbit) of a memory of weights: logic, LUT RAM or block RAM."""
    if words <= LOGIC_WORDS:
        return min(round(LOGIC_BIT * bits), 2**words - 2), 0
    luts = memories.lut.luts_of_weights(words, bits)
    blocks = memories.block.blocks(words, bits)
    return (luts, 0) if luts <= memories.luts_a_block_of_weights * blocks else (0, blocks)


def xnor_resources(unit: Products, memories: Memories) -> tuple[int, int]:
    """LUTs and block RAMs (18 kbit) of the unit for binary numbers (XnorMVAU_rtl).

    Fitted to Yosys 0.70, synth_xilinx: within 16 % of its LUTs for SIMD 1 to 192 and PE 1 to 16.
    """
    luts, blocks = memory(unit.words, unit.word_bits, memories)
    counted = unit.pe * (XNOR_BIT * unit.simd + XNOR_SUM * unit.sum_bits)
    return round(XNOR_CONTROL + _found(unit) * counted) + _buffer(unit, memories) + luts, blocks


def _found(unit: Products) -> float:
    """The share of logic that is left where there are few weights."""
    return CONSTANT_SCALE if unit.words == 1 else FEW_SCALE if unit.words <= FEW_WORDS else 1


def _fitted(unit: Products, counted: int, memories: Memories) -> int:
    weights, _ = memory(unit.words, unit.word_bits, memories)
    return round(CONTROL + SCALE * _found(unit) * counted) + weights


def _tree(count: int, bits: int, signed: bool) -> int:
    """Adders of two until one sum is left, a bit wider at each level; a carry out is no LUT."""
    total = 0
    while count > 1:
        total += count // 2 * (bits + signed)
        bits += 1
        count = (count + 1) // 2
    return total


def _negative(inputs: Number) -> bool:
    return inputs.signed or inputs.bipolar


def _choices(unit: Products) -> int:
    """LUTs that choose what each pair contributes to a plane; one left alone, its register does."""
    return max(unit.simd // 2 * (unit.input_bits + 1), unit.input_bits)


def _dot_product(unit: Products) -> int:
    """What each sum has: planes of choices among pairs, and the sums of planes."""
    depth = math.ceil(math.log2(unit.simd))
    if unit.inputs.bipolar and not unit.weights.bipolar:  # Weights, inverted or not, and counts.
        bits = unit.weights.bits + (not unit.weights.signed)
        return unit.simd * bits + _tree(unit.simd, bits, True) + bits + depth
    pairs = math.ceil(unit.simd / 2)
    plane = _choices(unit) + _tree(pairs, unit.input_bits + 1, _negative(unit.inputs))
    last = unit.input_bits + depth + 1
    if unit.weights.bipolar:
        return plane + last
    return unit.weights.bits * plane + (unit.weights.bits - 1) * last


def _shared(unit: Products) -> int:
    """What sums with the same inputs have once: sums of pairs, and the share of bipolar numbers."""
    pairs = unit.simd // 2 * (unit.input_bits + _negative(unit.inputs))
    if unit.weights.bipolar:
        rest = math.ceil(unit.simd / 2)
        return pairs + _tree(rest, unit.input_bits + 1, _negative(unit.inputs))
    return _tree(unit.simd, 1, False) if unit.inputs.bipolar else pairs


def _accumulator(unit: Products) -> int:
    return unit.sum_bits if unit.terms > unit.simd else 0


def _buffer(unit: Products, memories: Memories) -> int:
    """What keeps inputs for other folds of sums, and the choice between it and the stream."""
    if unit.depthwise or unit.outputs == unit.pe:
        return 0
    words, bits = unit.terms // unit.simd, unit.simd * unit.inputs.bits
    if words == 1:
        return bits
    if words <= LOGIC_WORDS:
        return bits + 4 * math.ceil(bits / 6)
    return bits + memory(words, bits, memories)[0]


def buffer_blocks(unit: Products, memories: Memories) -> int:
    """Block RAMs (18 kbit) that keep inputs for other folds of sums."""
    if unit.depthwise or unit.outputs == unit.pe:
        return 0
    return memory(unit.terms // unit.simd, unit.simd * unit.inputs.bits, memories)[1]
