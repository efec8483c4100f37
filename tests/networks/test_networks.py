"""Networks: shapes, published sizes, and users' files whose mistakes are named."""

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from hwflow import networks
from hwflow.errors import RequestError
from hwflow.recipe import NetworkSpec


def build(shape=(1, 28, 28), classes=10, seed=0, base=None, **fields):
    spec = TypeAdapter(NetworkSpec).validate_python(fields)
    return networks.build(spec, shape, classes, seed, base)


def weights(model):
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Linear))


@pytest.mark.parametrize(("name", "width"), [("tfc", 64), ("sfc", 256), ("lfc", 1024)])
def test_presets_have_the_published_sizes(name, width):
    model = build(name=name).eval()
    assert weights(model) == 784 * width + 2 * width * width + width * 10
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


def test_an_mlp_has_the_widths_asked_for():
    model = build(name="mlp", widths=[5, 7, 3], shape=(4,), classes=2).eval()
    assert weights(model) == 4 * 5 + 5 * 7 + 7 * 3 + 3 * 2
    assert model(torch.zeros(2, 4)).shape == (2, 2)


def test_the_seed_decides_the_weights():
    first, again, other = (build(name="tfc", seed=seed) for seed in (1, 1, 2))
    state = first.state_dict()
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in state.items())
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


USER = """
from torch import nn

def net(shape, classes, width=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], width), nn.ReLU(),
                         nn.Linear(width, classes))

def raises(shape, classes):
    scale = 1 / 0

def wrong_shape(shape, classes):
    return nn.Flatten()

def no_module(shape, classes):
    return 3

class Broken(nn.Module):
    def forward(self, x):
        raise ValueError("not today")

def broken(shape, classes):
    return Broken()
"""


@pytest.fixture
def user(tmp_path):
    (tmp_path / "net.py").write_text(USER)
    return tmp_path


def test_a_users_network_is_called_with_its_arguments(user):
    model = build(python="net.py:net", args={"width": 6}, base=user)
    assert model[1].out_features == 6


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", "net.py:9: ZeroDivisionError"),
        ("wrong_shape", r"makes \(2, 784\) of two samples, not \(2, 10\)"),
        ("no_module", "returned int"),
        ("broken", "ValueError: not today"),
        ("nett", "has no function 'nett'"),
    ],
)
def test_what_is_wrong_with_a_users_network_is_said(user, name, says):
    with pytest.raises(RequestError, match=says):
        build(python=f"net.py:{name}", base=user)


def test_a_missing_or_broken_file_is_named(user):
    with pytest.raises(RequestError, match="no such file"):
        build(python="nat.py:net", base=user)
    (user / "net.py").write_text("def net(:\n")
    with pytest.raises(RequestError, match=r"net\.py:1: SyntaxError"):
        build(python="net.py:net", base=user)
