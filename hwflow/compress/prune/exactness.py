"""Groups are believed once it was seen that taking their units out changes nothing else."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from hwflow.compress.prune.groups import Group, Member
from hwflow.compress.prune.removal import remove
from hwflow.costs.layers import example_input

# Relative difference that sums in another order may make, in float64. What is wrongly taken out
# shows by orders of magnitude more.
TOLERANCE = 1e-9
SAMPLES = 2


def zero_units(model: nn.Module, group: Group, gone: Sequence[int]) -> None:
    """Zero, in place, all slices of a network's parameters that belong to units.

    Args:
        model: network without parametrizations.
        group: of units.
        gone: which units.
    """
    _zero(model, group.members, gone)


def _zero(model: nn.Module, members: Sequence[Member], gone: Sequence[int]) -> None:
    for member in members:
        values = getattr(model.get_submodule(member.layer), member.parameter)
        positions = [position for unit in gone for position in member.index[unit]]
        index = torch.tensor(positions, device=values.device).long()
        with torch.no_grad():
            values.index_fill_(member.dim, index, 0.0)


def exact_groups(
    model: nn.Module, shape: tuple[int, ...], groups: Sequence[Group]
) -> tuple[list[Group], list[Group]]:
    """Sort groups into those that can be taken out exactly, and others.

    In a copy with random values of double precision, every other unit is masked, zeroed and taken
    out, of all groups at once, and only if these three differ of one after the other.

    Args:
        model: network without parametrizations.
        shape: of one sample.
        groups: to try.

    Returns:
        The exact ones, and the others.
    """
    if not groups:
        return [], []
    sample = _sample(model, shape)
    if _same(_random_copy(model), shape, groups, sample):
        return list(groups), []
    exact: list[Group] = []
    for group in groups:
        if _same(_random_copy(model), shape, [*exact, group], sample):
            exact.append(group)
    return exact, [group for group in groups if group not in exact]


def _same(
    model: nn.Module, shape: tuple[int, ...], groups: Sequence[Group], sample: torch.Tensor
) -> bool:
    """Whether a network is the same with every other unit of groups masked as in training, zeroed,
    and taken out; the model's units are zeroed."""
    keep = {group.name: [i for i in range(group.size) if i % 2 == 0] for group in groups}
    compact, _ = remove(model, shape, keep, groups)
    with torch.no_grad():
        for group in groups:
            _zero(model, group.masked, range(1, group.size, 2))
        masked = model(sample)
        for group in groups:
            zero_units(model, group, range(1, group.size, 2))
        expected = model(sample)
        try:
            output = compact(sample)
        except (RuntimeError, ValueError, AssertionError):
            # Shapes do not fit: the network counts on a width that was taken from it.
            return False
    if output.shape != expected.shape:
        return False
    scale = expected.abs().max().clamp_min(1e-30)
    errors = ((other - expected).abs().max() for other in (output, masked))
    return all(bool(error <= TOLERANCE * scale) for error in errors)


def _random_copy(model: nn.Module) -> nn.Module:
    """A copy in eval mode, whose values are such that each channel matters and none is like
    another: values as trained may be zero, or not be trained yet."""
    probe = copy.deepcopy(model).cpu().double().eval().requires_grad_(False)
    random = torch.Generator().manual_seed(0)
    for parameter in probe.parameters():
        if parameter.dim() >= 2:
            # Keeps the size of what passes through (He et al. 2015, section 2.2).
            bound = (6 / max(1, parameter[0].numel())) ** 0.5
            parameter.uniform_(-bound, bound, generator=random)
        else:
            parameter.uniform_(0.5, 1.5, generator=random)
    for name, values in probe.named_buffers():
        if name.endswith("running_mean"):
            values.uniform_(-0.5, 0.5, generator=random)
        elif name.endswith("running_var"):
            values.uniform_(0.5, 2, generator=random)
    return probe


def _sample(model: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    example = example_input(model, shape).expand(SAMPLES, *shape)
    random = torch.Generator().manual_seed(0)
    if example.is_floating_point():
        return torch.rand(example.shape, generator=random, dtype=torch.float64)
    # Tokens: 0 and 1 are known to every vocabulary.
    return torch.randint(0, 2, example.shape, generator=random, dtype=example.dtype)
