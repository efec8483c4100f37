"""Hints and attention transfer: layers are found, compared and learned from."""

import brevitas.nn as qnn
import pytest
import torch
from torch import nn

from hwflow.compress.distillation.features import as_features, captured, feature_shapes
from hwflow.compress.distillation.hints import AttentionTerm, HintTerm, layer_terms
from hwflow.errors import RequestError
from hwflow.recipe.distillation import Attention, Hint
from tests.compress.distillation.networks import SHAPE, net, settings

HINT = Hint(student="conv2", teacher="conv2")
ATTENTION = Attention(student="conv2", teacher="conv2")


def test_equal_widths_are_compared_as_they_are():
    term = HintTerm(HINT, (6, 4, 4), (6, 4, 4))
    features = torch.randn(3, 6, 4, 4)
    assert not list(term.parameters())
    assert float(term(features, term.target(features))) == 0
    assert float(term(features + 2, term.target(features))) == pytest.approx(4)


def test_a_regressor_learns_the_map_between_widths():
    torch.manual_seed(0)
    term = HintTerm(HINT, (4, 6, 6), (9, 6, 6))
    features, mixing = torch.randn(8, 4, 6, 6), torch.randn(9, 4)
    target = torch.einsum("oc,bchw->bohw", mixing, features) + 0.5
    optimizer = torch.optim.Adam(term.parameters(), 0.05)
    first = float(term(features, target).detach())
    for _ in range(300):
        optimizer.zero_grad()
        loss = term(features, target)
        loss.backward()
        optimizer.step()
    assert float(loss) < 1e-3 * first
    assert torch.allclose(term.regressor.weight[:, :, 0], mixing, atol=0.05)


@pytest.mark.parametrize(("kind", "pair"), [(HintTerm, HINT), (AttentionTerm, ATTENTION)])
@pytest.mark.parametrize(
    ("student", "teacher"),
    [((6, 4, 4), (6, 8, 8)), ((6, 8, 8), (6, 4, 4)), ((6, 12), (6, 5)), ((6, 3, 8), (6, 6, 4))],
)
def test_positions_that_differ_meet_at_the_smaller(kind, pair, student, teacher):
    term = kind(pair, student, teacher)
    assert term.positions == tuple(map(min, student[1:], teacher[1:]))
    ours, theirs = torch.ones(2, *student), 3 * torch.ones(2, *teacher)
    wanted = 4.0 if kind is HintTerm else 0.0
    assert float(term(ours, term.target(theirs))) == pytest.approx(wanted, abs=1e-6)


def test_vectors_are_compared_too():
    term = HintTerm(HINT, (16,), (24,))
    assert term(torch.randn(4, 16), term.target(torch.randn(4, 24))).isfinite()


def test_attention_transfer_of_a_network_to_itself_is_zero():
    model = net(0)
    (term,) = layer_terms(settings(attention=[ATTENTION]), model, [model], SHAPE)
    inputs = torch.randn(5, *SHAPE)
    with captured(model, ["conv2"]) as found:
        model(inputs)
    assert float(term(found["conv2"], term.target(found["conv2"]))) == 0
    other = net(1)
    with captured(other, ["conv2"]) as theirs:
        other(inputs)
    assert float(term(found["conv2"], term.target(theirs["conv2"]))) > 0


def test_a_layer_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(RequestError) as caught:
        feature_shapes(net(0), ["conv3"], SHAPE, "the network")
    assert "the network has no layer 'conv3'" in caught.value.message
    assert "did you mean 'conv" in str(caught.value.hint)


def test_of_many_layers_only_the_nearest_are_offered():
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(300)))
    with pytest.raises(RequestError) as caught:
        feature_shapes(model, ["2999"], (2,), "teacher 0")
    assert "'299'" in str(caught.value.hint)
    assert len(str(caught.value.hint)) < 120


def test_a_layer_that_is_not_run_is_named():
    with pytest.raises(RequestError, match="has a layer 'unused' but does not run it"):
        feature_shapes(net(0), ["unused"], SHAPE, "the network")


@pytest.mark.parametrize(
    ("kind", "pair", "student", "teacher", "says"),
    [
        (HintTerm, HINT, (6,), (6, 4, 4), "can't be compared"),
        (AttentionTerm, ATTENTION, (6,), (8,), "no positions to attend to"),
    ],
)
def test_layers_that_do_not_compare_are_refused(kind, pair, student, teacher, says):
    with pytest.raises(RequestError, match=says) as caught:
        kind(pair, student, teacher)
    assert caught.value.hint


class Tokens(nn.Module):
    """A transformer's layer: (B, tokens, C), attention gives a tuple."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 12)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)

    def forward(self, x):
        x = self.embed(x)
        return self.attention(x, x, x)[0].mean(1)


def test_channels_of_tokens_come_last_and_those_of_signals_first():
    shapes = feature_shapes(Tokens(), ["embed", "attention"], (7, 3), "the network")
    assert shapes == {"embed": (12, 7), "attention": (12, 7)}
    signal = nn.Sequential(nn.Conv1d(3, 5, 3), nn.ReLU())
    assert feature_shapes(signal, ["0", "1"], (3, 9), "the network") == {"0": (5, 7), "1": (5, 7)}


def test_quantized_outputs_count_with_their_values():
    layer = qnn.QuantReLU(return_quant_tensor=True)
    output = layer(torch.rand(2, 3, 4, 4))
    assert torch.equal(as_features(output, last=True), output.value)


def test_hooks_are_gone_even_when_the_network_fails():
    model = net(0)
    with pytest.raises(RuntimeError), captured(model, ["conv1"]):
        model(torch.zeros(1, 1, 1, 1))
    assert not model.conv1._forward_hooks
