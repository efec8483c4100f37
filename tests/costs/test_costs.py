"""Costs: what layers and networks take, against counts by hand and against synthesis."""

import pytest
import torch
from torch import nn

from hwflow.compress.prune.attention import HeadAttention
from hwflow.costs import (
    LayerShape,
    Target,
    fold,
    hardware_costs,
    layer_estimate,
    layer_shapes,
    network_costs,
)
from hwflow.costs.hardware import UNHURRIED, bram18
from hwflow.families.memories import BlockRam

CNN = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1, bias=False),
    nn.ReLU(),
    nn.Conv2d(8, 8, 3, stride=2, groups=8, bias=False),
    nn.Flatten(),
    nn.Linear(8 * 3 * 3, 10),
)
SHAPE = (3, 8, 8)


def test_layers_are_matrices_at_positions():
    first, depthwise, last = layer_shapes(CNN, SHAPE)
    assert (first.mw, first.mh, first.positions, first.groups) == (27, 8, 64, 1)
    assert (depthwise.mw, depthwise.mh, depthwise.positions, depthwise.groups) == (9, 8, 9, 8)
    assert (last.mw, last.mh, last.positions) == (72, 10, 1)
    assert CNN.training


def test_operations_are_those_counted_by_hand():
    costs = network_costs(CNN, SHAPE)
    assert costs.macs == 27 * 8 * 64 + 9 * 8 * 9 + 72 * 10
    assert costs.params == 27 * 8 + 9 * 8 + 72 * 10 + 10
    assert costs.bops == costs.macs * 32 * 32
    assert costs.weight_bits == 32 * (costs.params - 10)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 6)

    def forward(self, x):
        x = self.project(x)
        return torch.softmax(x @ x.transpose(1, 2), -1) @ x


def test_products_of_activations_count_too():
    assert network_costs(Attention(), (5, 4)).macs == 5 * 4 * 6 + 2 * 5 * 5 * 6


class Encoder(nn.Module):
    """Attention over 5 positions of 12 features, of whose 3 heads `heads` are there; and a layer of
    an encoder, which torch runs as one fused kernel when it can."""

    def __init__(self, heads=3):
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        if heads < 3:
            self.attention = HeadAttention(self.attention, heads)
        self.layer = nn.TransformerEncoderLayer(12, 2, 20, batch_first=True)

    def forward(self, x):
        return self.layer(self.attention(x, key=x, value=x, need_weights=False)[0])


@pytest.mark.parametrize("heads", [3, 1])
def test_attention_of_torch_counts_with_its_projections_and_products(heads):
    model, rows = Encoder(heads), 4 * heads
    layers = {layer.name: layer for layer in layer_shapes(model, (5, 12))}
    for part in "qkv":
        found = layers[f"attention.{part}_proj"]
        assert (found.mw, found.mh, found.positions) == (12, rows, 5)
    out = layers["attention.out_proj"]
    assert (out.mw, out.mh, out.positions) == (rows, 12, 5)
    projections = 4 * 12 * rows + 4 * 12 * 12
    products = 2 * 5 * (rows + 12)
    assert network_costs(model, (5, 12)).macs == 5 * (projections + products + 2 * 12 * 20)
    assert network_costs(model, (5, 12)).weight_bits == 32 * (projections + 2 * 12 * 20)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("cycles", [1, 7, 100, 784, 10_000, UNHURRIED])
def test_the_folding_meets_the_bound_with_the_fewest_multipliers(cycles):
    folding = fold(24, 10, 3, cycles)
    products = [
        pe * simd
        for pe in (1, 2, 5, 10)
        for simd in (1, 2, 3, 4, 6, 8, 12, 24)
        if (10 // pe) * (24 // simd) * 3 <= cycles
    ]
    assert folding.pe * folding.simd == min(products, default=240)


def test_an_estimate_of_a_network_is_the_sum_of_its_layers():
    target = Target(cycles=2000, bits=(4, 4))
    found = hardware_costs(CNN, SHAPE, target)
    layers = [layer_estimate(layer, target) for layer in layer_shapes(CNN, SHAPE)]
    assert found.cycles == max(layer.cycles for layer in layers) <= 2000
    assert found.lut == sum(layer.lut for layer in layers)
    assert found.dsp == sum(layer.dsp for layer in layers)


# (layer, cycles, LUT, DSP) as Yosys 0.70 synthesised them for the recipes mnist-tfc-w2a2,
# mnist-tfc-w1a1 and digits-mlp.
SYNTHESISED = [
    (LayerShape("linear0", 784, 64, weight_bits=2, input_bits=2), 784, 1364, 16),
    (LayerShape("linear1", 64, 64, weight_bits=2, input_bits=2), 512, 201, 8),
    (LayerShape("linear0", 784, 64, weight_bits=1, input_bits=1), 784, 239, 0),
    (LayerShape("linear0", 64, 64, weight_bits=4, input_bits=5), 128, 1257, 32),
    (LayerShape("linear1", 64, 32, weight_bits=4, input_bits=4), 128, 637, 16),
]


@pytest.mark.parametrize(("layer", "cycles", "lut", "dsp"), SYNTHESISED)
def test_estimates_are_near_what_synthesis_found(layer, cycles, lut, dsp):
    found = layer_estimate(layer, Target(cycles=cycles))
    assert found.cycles == cycles
    assert found.lut == pytest.approx(lut, rel=0.45)
    assert found.dsp == dsp


@pytest.mark.parametrize(
    ("words", "bits", "blocks"),
    [(64, 36, 0), (512, 36, 1), (512, 72, 2), (784, 128, 8), (4096, 4, 1), (20_000, 1, 2)],
)
def test_block_rams_hold_the_words_of_a_memory(words, bits, blocks):
    assert bram18(words, bits, BlockRam()) == blocks
