"""With its quantizers off, a quantized network is the float one; what changes it is refused."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from hwflow.compress import STAGES
from hwflow.compress.quantize.equivalence import check_equal, with_relus
from hwflow.compress.reparametrized import plain_weights
from hwflow.errors import RequestError
from hwflow.recipe import Quantize
from tests.compress.quantize.networks import SHAPE, TAKEN

SETTINGS = Quantize(kind="quantize")
STRUCTURE = {"form": "graph", "shape": list(SHAPE), "bits": 8, "signed": True, "limit": 1.0}


def old(norm):
    def apply(layer):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls its older way deprecated
            return norm(layer)

    return apply


WAYS = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "weight_norm, by hooks": old(weight_norm),
    "spectral_norm, by hooks": old(spectral_norm),
    "prune": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
}


def trained(norm):
    """A network whose weights are computed, as a training step left it."""
    torch.manual_seed(1)
    layers = [norm(nn.Conv2d(1, 4, 3)), nn.ReLU(), nn.Flatten(), norm(nn.Linear(144, 10))]
    network = nn.Sequential(*layers)
    network(torch.randn(8, *SHAPE)).square().mean().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.1 * parameter.grad
    return network.eval()


def quantized(network, settings=SETTINGS):
    return STAGES["quantize"].rebuild(network, settings, STRUCTURE)


def samples(count=8):
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("way", WAYS)
def test_weights_that_are_computed_are_kept(way):
    network = trained(WAYS[way])
    wanted = network(samples())
    plain = plain_weights(network)
    assert torch.allclose(plain(samples()), wanted, atol=1e-6)
    assert torch.equal(network(samples()), wanted)
    assert sorted(plain.state_dict()) == ["0.bias", "0.weight", "3.bias", "3.weight"]
    check_equal(network, quantized(network), samples())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("prune", {"granularity": "channel"}), ("decompose", {"method": "svd", "unit": 1})],
)
def test_stages_that_change_layers_take_such_networks(way, kind, options):
    network, stage = trained(WAYS[way]), STAGES[kind]
    settings = stage.schema(kind=kind, **options)
    left = stage.rebuild(network, settings, {"layers": {}} if kind == "decompose" else {})
    assert torch.allclose(left.eval()(samples()), network(samples()), atol=1e-6)
    assert "3.weight" in left.state_dict()


@pytest.mark.parametrize("name", TAKEN)
def test_networks_that_the_pass_takes_stay_what_they_are(name):
    torch.manual_seed(2)
    network = TAKEN[name]().eval()
    check_equal(network, quantized(network), samples(2))


def test_a_sign_stands_for_a_relu_where_activations_have_one_bit():
    network = trained(lambda layer: layer)
    binary = SETTINGS.model_copy(update={"activation_bits": 1})
    with pytest.raises(RequestError, match="not that of the float network"):
        check_equal(network, quantized(network, binary), samples())
    check_equal(network, quantized(network, with_relus(binary)), samples())


def calling(function):
    """A network whose forward calls something between its layers."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(64, 10)

        def forward(self, x):
            return self.linear(function(self, functional.relu(self.conv(x))).flatten(1))

    return Network().eval()


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: functional.max_pool2d(functional.dropout(x, 0.5, training=False), 2),
        lambda net, x: functional.max_pool2d(functional.dropout2d(x, 0.5, net.training), 2),
        lambda net, x: functional.max_pool2d(
            functional.dropout(x, p=0.3, training=net.training, inplace=False), 2
        ),
        lambda net, x: functional.avg_pool2d(x, 2, None, 0, False, True, None),
        lambda net, x: functional.max_pool2d(input=x, kernel_size=2, return_indices=False),
    ],
)
def test_arguments_of_functions_are_read(function):
    network = calling(function)
    check_equal(network, quantized(network), samples())


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda net, x: functional.avg_pool2d(x, 2, divisor_override=3), "divisor_override"),
        (lambda net, x: functional.avg_pool2d(x, 2, 2, 0, False, True, 3), "divisor_override"),
        (lambda net, x: functional.max_pool2d(torch.sigmoid(x, out=None), 2), "out=None"),
    ],
)
def test_arguments_that_a_layer_has_no_place_for_are_refused(function, says):
    with pytest.raises(RequestError, match=says):
        quantized(calling(function))


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: functional.max_pool2d(2 * x if net.training else x, 2),
        lambda net, x: functional.max_pool2d(
            functional.dropout(x), 2
        ),  # it drops values in evaluation, too
    ],
)
def test_a_network_that_computes_something_else_in_training_is_refused_with_the_layer(function):
    network = calling(function)
    with pytest.raises(RequestError, match="out of layer linear is not that of the float network"):
        check_equal(network, quantized(network), samples())
