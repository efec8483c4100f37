"""Resources of units that multiply, against what Yosys 0.70, synth_xilinx, made of them."""

import numpy as np
import pytest

from hwflow.costs.products import (
    FEW_WORDS,
    Number,
    Products,
    buffer_blocks,
    luts,
    luts_beside_dsps,
    memory,
    takes_dsps,
    xnor_resources,
)
from hwflow.families.xilinx7 import MEMORIES

# Terms, outputs, SIMD, PE, weights, inputs, bits of a sum, depthwise, made of; LUT, DSP, RAMB18.
SYNTHESISED = [
    (9, 16, 3, 4, "INT4", "UINT4", 12, True, "lut", 362, 0, 0),
    (9, 16, 3, 4, "INT8", "UINT8", 20, True, "dsp", 267, 12, 0),
    (9, 32, 9, 2, "INT3", "UINT3", 9, True, "lut", 315, 0, 0),
    (9, 32, 9, 8, "INT4", "UINT4", 12, True, "dsp", 353, 72, 0),
    (9, 64, 1, 1, "INT4", "UINT4", 12, True, "lut", 105, 0, 0),
    (9, 64, 1, 4, "INT4", "UINT4", 12, True, "dsp", 82, 4, 0),
    (64, 16, 16, 4, "INT4", "UINT4", 14, False, "lut", 1847, 0, 0),
    (9, 16, 9, 8, "INT4", "UINT4", 12, True, "lut", 1150, 0, 0),
    (9, 16, 9, 4, "BIPOLAR", "UINT2", 6, True, "lut", 202, 0, 0),
    (144, 32, 9, 8, "INT2", "UINT2", 11, False, "lut", 744, 0, 0),
    (64, 64, 8, 8, "BIPOLAR", "UINT4", 11, False, "lut", 594, 0, 0),
    (32, 32, 8, 1, "INT3", "UINT5", 13, False, "lut", 307, 0, 0),
    (64, 64, 4, 2, "INT4", "UINT4", 14, False, "lut", 236, 0, 1),
    (27, 64, 3, 16, "INT2", "UINT8", 15, False, "lut", 1155, 0, 0),
    (40, 20, 10, 4, "INT5", "BIPOLAR", 11, False, "lut", 721, 0, 0),
    (256, 64, 4, 4, "INT8", "UINT4", 20, False, "lut", 794, 0, 8),
    (36, 36, 6, 6, "INT6", "INT6", 17, False, "lut", 2032, 0, 0),
    (576, 32, 1, 1, "INT4", "UINT4", 18, False, "lut", 141, 0, 5),
    (128, 128, 8, 8, "INT3", "UINT3", 13, False, "lut", 970, 0, 6),
    (16, 16, 16, 16, "INT2", "UINT3", 9, False, "lut", 637, 0, 0),
    (64, 10, 32, 1, "INT4", "UINT4", 14, False, "lut", 1153, 0, 0),
    (64, 64, 64, 4, "BIPOLAR", "UINT2", 9, False, "lut", 1478, 0, 0),
    (64, 16, 16, 4, "INT8", "UINT8", 22, False, "lut", 5754, 0, 0),
    (256, 256, 4, 4, "INT2", "UINT2", 12, False, "lut", 179, 0, 8),
    (24, 24, 2, 24, "INT4", "UINT2", 11, False, "lut", 1023, 0, 0),
    (576, 64, 32, 16, "INT2", "UINT2", 13, False, "lut", 3815, 0, 29),
]
# Of binary numbers: terms, outputs, SIMD, PE; LUT, RAMB18.
BINARY = [
    (1728, 64, 192, 2, 1332, 11),
    (1152, 128, 192, 1, 828, 11),
    (576, 64, 64, 2, 446, 4),
    (288, 32, 32, 1, 156, 1),
    (54, 16, 6, 1, 81, 0),
    (64, 64, 16, 4, 264, 0),
    (64, 16, 16, 16, 553, 0),
    (784, 64, 112, 4, 1340, 13),
    (64, 64, 4, 1, 48, 1),
    (16, 16, 1, 1, 42, 0),
    (96, 12, 48, 3, 526, 0),
    (48, 48, 12, 8, 409, 0),
    (24, 8, 24, 8, 188, 0),
]
COLUMNS = ("terms", "outputs", "simd", "pe", "weights", "inputs", "sum_bits", "depthwise")


def number(name):
    if name == "BIPOLAR":
        return Number(1, bipolar=True)
    return Number(int(name[-1]), signed=not name.startswith("U"))


def unit(row):
    fields = dict(zip(COLUMNS, row, strict=False))
    types = {key: number(fields[key]) for key in ("weights", "inputs")}
    return Products(**fields | types)


def error(row):
    """Relative error of the LUTs of a row."""
    made_of, lut = row[8:10]
    count = luts_beside_dsps if made_of == "dsp" else luts
    return abs(count(unit(row), MEMORIES) / lut - 1)


@pytest.mark.parametrize("row", SYNTHESISED, ids=lambda row: "-".join(map(str, row[:9])))
def test_luts_and_blocks_are_near_what_synthesis_found(row):
    found = unit(row)
    assert error(row) <= (0.30 if found.words <= FEW_WORDS else 0.21)
    assert (
        memory(found.words, found.word_bits, MEMORIES)[1] + buffer_blocks(found, MEMORIES)
        == row[11]
    )
    if row[8] == "dsp":
        assert takes_dsps(found.weights, found.inputs)
        assert row[10] == found.pe * found.simd


def test_luts_are_nearer_on_average():
    assert np.mean([error(row) for row in SYNTHESISED if unit(row).words > FEW_WORDS]) <= 0.07


@pytest.mark.parametrize("row", BINARY, ids=lambda row: "-".join(map(str, row[:4])))
def test_binary_products_are_near_what_synthesis_found(row):
    terms, outputs, simd, pe, lut, blocks = row
    one = number("BIPOLAR")
    found = Products(terms, outputs, simd, pe, one, one, sum_bits=terms.bit_length() + 1)
    luts_estimated, blocks_estimated = xnor_resources(found, MEMORIES)
    assert abs(luts_estimated / lut - 1) <= 0.16
    assert blocks_estimated == blocks


@pytest.mark.parametrize(
    ("weights", "inputs", "taken"),
    [
        ("INT4", "UINT4", True),
        ("INT4", "INT4", False),
        ("INT2", "INT7", True),
        ("INT2", "UINT2", False),
        ("BIPOLAR", "UINT8", False),
        ("INT8", "BIPOLAR", False),
    ],
)
def test_products_that_are_wide_enough_go_into_dsp_blocks(weights, inputs, taken):
    assert takes_dsps(number(weights), number(inputs)) == taken
