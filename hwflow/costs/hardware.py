"""What a layer costs in hardware at a folding: cycles, LUTs, DSP blocks, block RAMs.

A layer of MH neurons with MW inputs that computes PE neurons and SIMD inputs of each at a time
needs (MH / PE)(MW / SIMD) cycles for each position of its output (Blott et al. 2018, section 4.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from hwflow.costs.layers import FLOAT_BITS, LayerShape
from hwflow.costs.products import Number, Products, xnor_resources
from hwflow.families import Fabric
from hwflow.families.memories import BlockRam
from hwflow.families.xilinx7 import FABRIC

# Cycles a frame when nothing is asked for: the smallest design.
UNHURRIED = 2**62
# LUTs of a matrix-vector unit with its weight memory and control, fitted to Yosys 0.70,
# synth_xilinx, 2 to 1024 multipliers of 4 to 8 bits (within 18 %): a constant, and for each
# multiplier a part that grows with its operands' bits.
_LUT_BASE, _LUT_MULTIPLIER, _LUT_BIT = 90.0, 17.0, 3.75


@dataclass(frozen=True)
class Target:
    """What hardware is asked for.

    Attributes:
        cycles: that a frame may take.
        bits: of weights and activations, where a network is not quantized yet.
        fabric: that it is made of.
    """

    cycles: int = UNHURRIED
    bits: tuple[int, int] = (8, 8)
    fabric: Fabric = FABRIC


@dataclass(frozen=True)
class Folding:
    """Parallelism of one layer: `pe` outputs and `simd` inputs of each at a time."""

    pe: int
    simd: int = 1


@dataclass(frozen=True)
class Estimate:
    """Cycles a frame, and resources."""

    cycles: int
    lut: int
    dsp: int
    bram18: int


@cache
def divisors(n: int) -> tuple[int, ...]:
    """All divisors of n, ascending."""
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return tuple(small + [n // d for d in reversed(small) if d * d != n])


@cache
def fold(mw: int, mh: int, positions: int, cycles: int) -> Folding:
    """The folding with the fewest multipliers that meets a bound; full parallelism if none does.

    Args:
        mw, mh: inputs and neurons.
        positions: of the output.
        cycles: that a frame may take.
    """
    choices = [
        (pe * simd, pe, simd)
        for pe in divisors(mh)
        for simd in divisors(mw)
        if (mh // pe) * (mw // simd) * positions <= cycles
    ]
    _, pe, simd = min(choices, default=(0, mh, mw))
    return Folding(pe, simd)


def total_estimate(layers: Iterable[LayerShape], target: Target) -> Estimate:
    """What layers take together when each is folded for a target.

    Returns:
        Cycles of the slowest layer, and the sum of all layers' resources. An estimate: converters,
        FIFOs and thresholds are not in it.
    """
    estimates = [layer_estimate(layer, target) for layer in layers]
    return Estimate(
        cycles=max((e.cycles for e in estimates), default=0),
        lut=sum(e.lut for e in estimates),
        dsp=sum(e.dsp for e in estimates),
        bram18=sum(e.bram18 for e in estimates),
    )


def layer_estimate(layer: LayerShape, target: Target) -> Estimate:
    """What a layer takes when it is folded for a target.

    Args:
        layer: its shape.
        target: cycles a frame, and bits where the layer's own are not quantized.
    """
    folding = fold(layer.mw, layer.mh, layer.positions, target.cycles)
    weight_bits = target.bits[0] if layer.weight_bits == FLOAT_BITS else layer.weight_bits
    input_bits = target.bits[1] if layer.input_bits == FLOAT_BITS else layer.input_bits
    steps = (layer.mh // folding.pe) * (layer.mw // folding.simd)
    cycles = steps * layer.positions
    if weight_bits == input_bits == 1:
        binary = Number(1, bipolar=True)
        sum_bits = layer.mw.bit_length() + 1
        unit = Products(layer.mw, layer.mh, folding.simd, folding.pe, binary, binary, sum_bits)
        lut, blocks = xnor_resources(unit, target.fabric.memories)
        return Estimate(cycles, lut, 0, blocks)
    return Estimate(
        cycles=cycles,
        lut=mvu_luts(folding, weight_bits, input_bits),
        dsp=mvu_dsps(folding, weight_bits, input_bits),
        bram18=bram18(steps, folding.pe * folding.simd * weight_bits, target.fabric.memories.block),
    )


def mvu_luts(folding: Folding, weight_bits: int, input_bits: int) -> int:
    """LUTs of FINN's matrix-vector unit on DSP blocks (MVAU_rtl)."""
    multiplier = _LUT_MULTIPLIER + _LUT_BIT * (weight_bits + input_bits) / 2
    return round(_LUT_BASE + folding.pe * folding.simd * multiplier)


def mvu_dsps(folding: Folding, weight_bits: int, input_bits: int) -> int:
    """Its DSP48E1 blocks: four products in one up to 4 bits, two up to 8 (FINN+'s packing)."""
    lanes = 4 if max(weight_bits, input_bits) <= 4 else 2
    return math.ceil(folding.pe / lanes) * folding.simd


def bram18(words: int, bits: int, block: BlockRam) -> int:
    """Block RAMs of 18 kbit of a memory; short ones are made of LUTs.

    Args:
        words: depth.
        bits: of a word.
        block: what there is.
    """
    if words * bits <= 1024 or words <= 128:
        return 0
    *narrower, (width, depth) = block.shapes
    if words <= depth:
        return math.ceil(bits / width)
    for width, depth in narrower:
        if bits <= width:
            return math.ceil(words / depth)
    return math.ceil(words / depth) * math.ceil(bits / width)
