"""Masks: the straight-through gradients of the paper, exactly, whatever the units are."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from hwflow.compress.prune.exactness import zero_units
from hwflow.compress.prune.gates import Gates, HardConcreteGates, open_chance
from hwflow.compress.prune.masks import TileMask, bake, plain_state, tile_means
from hwflow.compress.prune.plan import make_plan, put_masks
from hwflow.compress.prune.selection import Selector
from hwflow.recipe import Prune


def linear(outputs=6, inputs=7):
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs), torch.randn(5, inputs)


def masked(layer, tile, shape):
    gates = Gates(shape, 0.0)
    gates.keep.copy_(torch.rand(shape, generator=torch.Generator().manual_seed(1)) > 0.5)
    parametrize.register_parametrization(layer, "weight", TileMask(gates, tile))
    return gates


def gradient_of_masked_weight(layer, inputs, mask):
    """dL/dW' of L = sum(y^2), from a layer whose weight is W' itself."""
    plain = copy.deepcopy(layer)
    with torch.no_grad():
        plain.weight.mul_(mask)
    plain(inputs).square().sum().backward()
    return plain.weight.grad


@pytest.mark.parametrize(
    ("tile", "shape"),
    [(None, (6, 7)), ((1, 7), (6, 1)), ((6, 1), (1, 7)), ((2, 7), (3, 1)), ((4, 3), (2, 3))],
)
def test_gradients_of_scores_and_weights_are_those_of_the_paper(tile, shape):
    layer, inputs = linear()
    weight = layer.weight.detach().clone()
    rows, columns = tile or (1, 1)
    reference = copy.deepcopy(layer)
    gates = masked(layer, tile, shape)
    mask = torch.zeros(6, 7)
    for i, j in itertools.product(range(6), range(7)):
        mask[i, j] = float(gates.keep[i // rows, j // columns])
    upstream = gradient_of_masked_weight(reference, inputs, mask)
    layer(inputs).square().sum().backward()

    wanted = torch.zeros(shape)
    for i, j in itertools.product(range(6), range(7)):
        wanted[i // rows, j // columns] += upstream[i, j] * weight[i, j]
    assert torch.allclose(gates.scores.grad, wanted, rtol=1e-5, atol=1e-5)
    original = layer.parametrizations.weight.original
    assert torch.allclose(original.grad, mask * upstream, rtol=1e-5, atol=1e-6)
    assert torch.equal(layer.weight, weight * mask)


def test_a_convolutions_blocks_take_in_whole_kernels():
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 4, 3)
    weight = layer.weight.detach().clone()
    gates = masked(layer, (2, 2), (2, 3))
    layer(torch.randn(2, 5, 6, 6)).square().sum().backward()
    keep = gates.keep.repeat_interleave(2, 0).repeat_interleave(2, 1)[:, :5]
    assert torch.equal(layer.weight, weight * keep[..., None, None])
    means = tile_means(weight, (2, 2))
    assert means[1, 2] == pytest.approx(float(weight[2:4, 4].abs().mean()))
    assert means[0, 1] == pytest.approx(float(weight[:2, 2:4].abs().mean()))


# ------------------------------------------------------------------------------ coupled units


def chain(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 16, 5),
    )
    model(torch.randn(32, 2, 4, 4))
    return model


SHAPE = (2, 4, 4)
SETTINGS = Prune(kind="prune", unit=1)


def test_masking_where_units_are_taken_in_computes_the_same_as_masking_all_of_them():
    model = chain().eval()
    plan = make_plan(model, SETTINGS, SHAPE)
    everything = copy.deepcopy(model)
    put_masks(model, plan)
    generator = torch.Generator().manual_seed(3)
    for subject in plan.groups:
        keep = torch.rand(subject.size, generator=generator) > 0.5
        subject.gates.keep.copy_(keep)
        gone = (~keep).nonzero().flatten()
        zero_units(everything, subject.group, gone.tolist())
        assert everything[int(subject.name)].weight[gone].abs().sum() == 0
    inputs = torch.randn(9, *SHAPE)
    assert torch.allclose(model(inputs), everything(inputs), atol=1e-6)


def test_a_units_score_gets_the_sum_over_all_its_weights_even_while_it_is_masked():
    model = chain()
    reference = copy.deepcopy(model)
    plan = make_plan(model, SETTINGS, SHAPE)
    put_masks(model, plan)
    first = plan.groups[0]
    first.gates.keep[2] = False
    inputs = torch.randn(9, *SHAPE)
    model(inputs).square().sum().backward()

    weight = reference[3].weight.detach().clone()
    with torch.no_grad():
        reference[3].weight[:, 2] = 0
    reference(inputs).square().sum().backward()
    wanted = (reference[3].weight.grad * weight).sum((0, 2, 3))
    assert torch.allclose(first.gates.scores.grad, wanted, rtol=1e-4, atol=1e-4)
    assert first.gates.scores.grad[2] != 0
    grad = model[3].parametrizations.weight.original.grad
    assert grad[:, 2].abs().sum() == 0


def test_units_of_a_flattened_convolution_are_masked_at_all_positions():
    plan = make_plan(chain(), SETTINGS, SHAPE)
    (member,) = plan.groups[1].group.masked
    assert (member.layer, member.dim) == ("6", 1)
    assert member.index[2] == tuple(range(32, 48))


def test_values_are_known_by_their_own_names_while_masked_and_masks_can_be_baked_in():
    model = chain()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plan = make_plan(model, SETTINGS, SHAPE)
    put_masks(model, plan)
    found = plain_state(model)
    assert found.keys() == before.keys()
    assert all(torch.equal(found[name], value) for name, value in before.items())
    plan.groups[0].gates.keep[:4] = False
    bake(model)
    assert model.state_dict().keys() == before.keys()
    assert model[3].weight[:, :4].abs().sum() == 0
    assert torch.equal(model[3].weight[:, 4:], before["3.weight"][:, 4:])


# ------------------------------------------------------------------------- hard concrete gates


def test_hard_concrete_gates_are_open_as_often_as_their_chance_says():
    gates = HardConcreteGates((7,), 0.0)
    with torch.no_grad():
        gates.scores.copy_(torch.linspace(-4, 4, 7))
    torch.manual_seed(0)
    draws = []
    for _ in range(20_000):
        gates.draw()
        draws.append(gates().detach())
    values = torch.stack(draws)
    assert values.min() == 0
    assert values.max() == 1
    assert ((values > 0) & (values < 1)).any()
    chance = open_chance(gates.scores).detach()
    assert torch.allclose((values > 0).float().mean(0), chance, atol=0.015)


def test_a_hard_concrete_gate_lets_gradients_through_only_between_its_ends():
    gates = HardConcreteGates((3,), 0.0)
    with torch.no_grad():
        gates.scores.copy_(torch.tensor([-9.0, 0.0, 9.0]))
    gates().sum().backward()
    # At noise 1/2: the derivative of 1.2 sigmoid(s / beta) - 0.1 at s = 0.
    assert gates.scores.grad.tolist() == pytest.approx([0, 1.2 / 4 * 1.5, 0])


def test_in_eval_mode_gates_have_no_noise():
    gates = HardConcreteGates((2,), 0.5)
    gates.draw()
    gates.eval()
    wanted = 1.2 * torch.sigmoid(torch.tensor(0.5)) - 0.1
    assert gates().tolist() == pytest.approx([float(wanted)] * 2)


def test_a_closed_gate_that_a_floor_keeps_lets_something_through():
    layer = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    settings = Prune(
        kind="prune", method="l0", granularity="neuron", unit=1, regularizer={"kind": "l0"}
    )
    plan = make_plan(layer, settings, (4,))
    selector = Selector(plan, layer, settings, None)
    gates = plan.subjects[0].gates.eval()
    with torch.no_grad():
        gates.scores.copy_(torch.tensor([-5.0, -4.0, -6.0]))
    selector(1.0)
    assert gates.keep.tolist() == [False, True, False]
    assert (gates() > 0).tolist() == [False, True, False]
