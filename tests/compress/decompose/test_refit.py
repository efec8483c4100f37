"""Refit lowers the error of outputs on data that it has not seen; batch norms get new numbers."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from hwflow.compress.decompose.kernel import Kernel
from hwflow.compress.decompose.methods import METHODS
from hwflow.compress.decompose.refit import _calls, _fit, _rows, recalibrate, refit
from hwflow.compress.decompose.replace import factor_layers, fill, put
from hwflow.networks import TensorNorm
from tests.compress.decompose.test_replace import LAYERS, inputs


def decomposed(network, **methods):
    """A copy whose layers are replaced, by place: (method, ranks)."""
    compact = copy.deepcopy(network)
    for name, (method, ranks) in methods.items():
        layer = network.get_submodule(name[1:])
        kernel = Kernel(layer.weight)
        factors = factor_layers(layer, kernel.size, method, ranks)
        fill(factors, METHODS[method].factorize(kernel, ranks, 0).weights, layer)
        put(compact, name[1:], factors)
    return compact


def correlated(count, *shape, seed=0):
    """Samples whose channels go together, as those of images do."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(shape[0], shape[0], generator=torch.Generator().manual_seed(9))
    mixing *= torch.exp(-torch.arange(shape[0]) / 4)
    samples = torch.randn(count, *shape, generator=generator)
    return torch.einsum("ab,nb...->na...", mixing, samples)


def error(model, original, x):
    with torch.no_grad():
        wanted = original(x)
        return float((model(x) - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(
    ("make", "shape", "method", "ranks"),
    [
        (lambda: nn.Conv2d(24, 32, 3, padding=1), (24, 8, 8), "tucker2", (8, 8)),
        (lambda: nn.Conv2d(24, 32, 3, stride=2, bias=False), (24, 9, 9), "tucker_in", (6,)),
        (lambda: nn.Conv2d(24, 32, 3, dilation=2), (24, 9, 9), "tucker_out", (8,)),
        (lambda: nn.Conv1d(24, 32, 5, padding=2), (24, 30), "cp", (12,)),
        (lambda: nn.Conv2d(24, 32, 1, stride=2), (24, 8, 8), "svd", (8,)),
        (lambda: nn.Linear(48, 32), (48,), "svd", (8,)),
    ],
)
def test_refit_lowers_the_error_on_unseen_samples(make, shape, method, ranks):
    torch.manual_seed(0)
    original = nn.Sequential(make(), nn.ReLU())
    compact = decomposed(original, _0=(method, ranks))
    unseen = correlated(200, *shape, seed=1)
    before = error(compact, original, unseen)
    refit(compact, original, {"0": 1}, correlated(300, *shape, seed=0))
    assert error(compact, original, unseen) < 0.93 * before


def test_refit_makes_up_for_errors_of_the_layers_ahead():
    torch.manual_seed(0)
    original = nn.Sequential(
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 24, 3, padding=1)
    ).eval()
    samples, unseen = correlated(200, 16, 6, 6), correlated(100, 16, 6, 6, seed=1)
    errors = {}
    for refitted in ({}, {"2": 1}, {"0": 1, "2": 1}):
        compact = decomposed(original, _0=("tucker2", (8, 12)), _2=("tucker2", (12, 12)))
        refit(compact, original, refitted, samples)
        errors[len(refitted)] = error(compact, original, unseen)
    assert errors[2] < errors[1] < errors[0]


def test_refit_of_full_rank_changes_next_to_nothing():
    torch.manual_seed(0)
    original = nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU())
    compact = decomposed(original, _0=("tucker2", (8, 12)))
    refit(compact, original, {"0": 1}, correlated(64, 8, 6, 6))
    assert error(compact, original, correlated(64, 8, 6, 6, seed=1)) < 1e-5


def test_refit_leaves_the_original_and_all_but_last_factors():
    original = nn.Sequential(nn.Conv2d(8, 12, 3), nn.ReLU())
    compact = decomposed(original, _0=("tucker2", (4, 4)))
    before = copy.deepcopy(original.state_dict()), copy.deepcopy(compact.state_dict())
    refit(compact, original, {"0": 1}, correlated(64, 8, 6, 6))
    assert all(torch.equal(v, original.state_dict()[k]) for k, v in before[0].items())
    same = {k for k, v in before[1].items() if torch.equal(v, compact.state_dict()[k])}
    assert same == {"0.0.weight", "0.1.weight"}


def test_few_samples_do_not_spoil_a_layer():
    """Fewer samples than inputs of a neuron: the ridge holds what they say nothing about."""
    torch.manual_seed(0)
    original = nn.Sequential(nn.Linear(64, 48))
    compact = decomposed(original, _0=("svd", (32,)))
    unseen = correlated(200, 64, seed=1)
    before = error(compact, original, unseen)
    refit(compact, original, {"0": 1}, correlated(8, 64))
    assert error(compact, original, unseen) < 1.05 * before


def test_normal_equations_give_the_least_squares_solution():
    torch.manual_seed(0)
    layer, x, y = nn.Linear(6, 4).double(), torch.randn(50, 6).double(), torch.randn(50, 4).double()
    _fit(layer, iter([(x[:20], y[:20]), (x[20:], y[20:])]))
    rows = functional.pad(x, (0, 1), value=1.0)
    wanted = torch.linalg.lstsq(rows, y).solution.T
    assert torch.allclose(layer.weight, wanted[:, :-1], atol=3e-3)  # the ridge is 1e-3
    assert torch.allclose(layer.bias, wanted[:, -1], atol=3e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_rows_are_what_a_layer_multiplies(name):
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    x = inputs(layer).double()
    weights = layer.weight.flatten(1)
    if layer.bias is not None:
        weights = torch.cat([weights, layer.bias[:, None]], 1)
    made = _rows(layer, x) @ weights.T
    wanted = layer(x)
    wanted = wanted if isinstance(layer, nn.Linear) else wanted.movedim(1, -1)
    assert torch.allclose(made, wanted.flatten(0, -2), atol=1e-10)


def test_a_forward_pass_ends_with_the_last_use_of_a_layer():
    calls = []

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            x = self.layer(self.layer(x))
            calls.append(x)
            return x

    network = Network()
    assert len(_calls(network, network.layer, 2, torch.rand(3, 4))) == 2
    assert not calls
    network(torch.rand(3, 4))
    assert len(calls) == 1


# ----------------------------------------------------------------------------------- batch norms


def test_batch_norms_get_the_means_and_variances_of_the_samples():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 5, 1), nn.Dropout(0.9), nn.BatchNorm2d(5, momentum=0.3), nn.Flatten()
    )
    x = torch.randn(256, 3, 4, 4)
    recalibrate(network, x)
    made = network[0](x)
    assert torch.allclose(network[2].running_mean, made.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(network[2].running_var, made.var((0, 2, 3)), rtol=0.01)
    assert network[2].momentum == 0.3
    assert not any(module.training for module in network.modules())


def test_the_norm_over_all_logits_is_estimated_anew_and_frozen_ones_are_left():
    network = nn.Sequential(TensorNorm(), nn.BatchNorm1d(4, track_running_stats=False))
    x = 3 * torch.randn(500, 4) + 2
    recalibrate(network, x)
    assert float(network[0].running_mean) == pytest.approx(float(x.mean()), abs=1e-3)
    assert float(network[0].running_var) == pytest.approx(float(x.var()), rel=0.02)
    assert network[1].running_mean is None
