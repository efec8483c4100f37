"""At full rank factors make what the layer made, whatever its stride, padding and dilation."""

import pytest
import torch
from torch import nn

from hwflow.compress.decompose.kernel import Dimensions, Kernel
from hwflow.compress.decompose.methods import METHODS, methods_for
from hwflow.compress.decompose.replace import factor_layers, fill, put

LAYERS = {
    "linear": lambda: nn.Linear(20, 12),
    "linear without bias": lambda: nn.Linear(12, 20, bias=False),
    "1x1": lambda: nn.Conv2d(16, 12, 1),
    "1x1, stride, padding": lambda: nn.Conv2d(6, 9, 1, stride=2, padding=1),
    "1x1, reflected": lambda: nn.Conv2d(6, 9, 1, padding=2, padding_mode="reflect"),
    "3x3": lambda: nn.Conv2d(8, 12, 3),
    "3x3, no bias, stride, padding": lambda: nn.Conv2d(8, 6, 3, stride=2, padding=1, bias=False),
    "3x3, dilation": lambda: nn.Conv2d(6, 8, 3, dilation=2, padding=2),
    "same": lambda: nn.Conv2d(6, 8, (4, 3), padding="same", dilation=(1, 2)),
    "valid": lambda: nn.Conv2d(6, 8, 3, padding="valid"),
    "not square": lambda: nn.Conv2d(5, 8, (1, 5), stride=(2, 1), padding=(0, 2)),
    "all of it": lambda: nn.Conv2d(5, 4, (5, 3), (3, 2), (4, 1), (2, 1)),
    "reflect": lambda: nn.Conv2d(6, 8, 3, padding=1, padding_mode="reflect"),
    "replicate": lambda: nn.Conv2d(6, 8, 3, padding=(2, 1), padding_mode="replicate"),
    "circular, same": lambda: nn.Conv2d(6, 8, 3, padding="same", padding_mode="circular"),
    "1-D": lambda: nn.Conv1d(8, 12, 5),
    "1-D, all of it": lambda: nn.Conv1d(8, 6, 4, stride=3, padding=2, dilation=2, bias=False),
    "1-D, same": lambda: nn.Conv1d(8, 6, 4, padding="same", padding_mode="circular"),
    "1-D, 1": lambda: nn.Conv1d(8, 6, 1, stride=2),
}


def inputs(layer):
    if isinstance(layer, nn.Linear):
        return torch.rand(3, 7, layer.in_features)
    places = (17, 13)[: len(layer.kernel_size)]
    return torch.rand(3, layer.in_channels, *places)


def factors_of(layer, method, ranks=None):
    kernel = Kernel(layer.weight)
    ranks = method.limits(kernel.size) if ranks is None else ranks
    factors = factor_layers(layer, kernel.size, method.name, ranks)
    fill(factors, method.factorize(kernel, ranks, 0).weights, layer)
    return factors


def cases():
    for name, make in LAYERS.items():
        size = Dimensions.of(make().weight)
        asked = ["auto"] if size.taps > 1 else ["svd"]
        yield from ((name, method.name) for word in asked for method in methods_for(word, size))


@pytest.mark.parametrize(("name", "method"), cases())
def test_full_rank_makes_the_same_outputs(name, method):
    torch.manual_seed(0)
    layer = LAYERS[name]()
    x = inputs(layer)
    factors = factors_of(layer, METHODS[method])
    assert len(factors) == (3 if method in {"tucker2", "cp"} else 2)
    assert all(type(factor) is type(layer) for factor in factors)
    with torch.no_grad():
        assert (factors(x) - layer(x)).abs().max() <= 1e-5


@pytest.mark.parametrize(("name", "method"), cases())
def test_at_lower_rank_the_layers_make_what_their_product_makes(name, method):
    """The factors are the layer whose weight they compose to: at all borders, too."""
    from tests.support.factors import compose

    torch.manual_seed(0)
    layer = LAYERS[name]()
    ranks = tuple(3 for _ in METHODS[method].limits(Dimensions.of(layer.weight)))
    factors = factors_of(layer, METHODS[method], ranks)
    made = compose(METHODS[method].factorize(Kernel(layer.weight), ranks, 0).weights)
    x = inputs(layer)
    with torch.no_grad():
        layer.weight.copy_(made.reshape(layer.weight.shape))
        assert (factors(x) - layer(x)).abs().max() <= 1e-5


def test_factors_keep_type_device_mode_and_what_is_frozen():
    layer = nn.Conv2d(8, 8, 3).double().eval().requires_grad_(False)
    factors = factors_of(layer, METHODS["tucker2"], (4, 4))
    assert all(p.dtype == torch.float64 and not p.requires_grad for p in factors.parameters())
    assert not any(module.training for module in factors.modules())
    assert [factor.bias is None for factor in factors] == [True, True, False]
    assert torch.equal(factors[2].bias, layer.bias)


def test_a_module_is_put_where_its_name_says():
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    put(network, "1.1", nn.Identity())
    put(network, "0", nn.Tanh())
    assert isinstance(network[1][1], nn.Identity)
    assert isinstance(network[0], nn.Tanh)
