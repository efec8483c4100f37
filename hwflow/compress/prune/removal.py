"""Networks without the units that were pruned."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from hwflow.compress.prune.attention import HeadAttention, Projections, projections
from hwflow.compress.prune.groups import CHANNEL_NORMS, CONVOLUTIONS, Group
from hwflow.config.yaml_source import nearest
from hwflow.errors import HwflowError, RequestError

# Of each layer's tensors, the places along each dimension that go.
Gone = dict[tuple[str, str], dict[int, set[int]]]


def multiple(size: int, wanted: int, unit: int) -> int:
    """The least number of units to keep so that a width is a multiple of `unit`.

    Args:
        size: units that there are.
        wanted: units to keep; at least one stays.
        unit: what the number shall be a multiple of; for units that are several channels wide see
            `Group.step`.

    Returns:
        The least multiple of `unit` that is at least `wanted`; where `size` has no such multiple,
        because it is smaller than `unit` or divided with a rest, `size`: all stay.
    """
    return min(size, math.ceil(max(wanted, 1) / unit) * unit)


def remove(
    model: nn.Module,
    shape: tuple[int, ...],
    keep: Mapping[str, Sequence[int]],
    groups: Sequence[Group],
) -> tuple[nn.Module, dict[str, Any]]:
    """Take units out of a network.

    In eval mode the result computes the same as the network with everything of these units zeroed,
    up to the order in which sums are formed.

    Args:
        model: network without parametrizations; left as it is.
        shape: of one sample.
        keep: of each group, by name, the units that stay; groups not named stay whole.
        groups: of the network, from `coupling.find_groups`.

    Returns:
        The compact network, in the same mode; and its structure for `rebuild`, JSON.

    Raises:
        RequestError: a group that there is not, units that it has not, or none that stays.
        HwflowError: the network still has parametrizations.
    """
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module):
            raise HwflowError(
                f"layer {name} has parametrizations, so that its parameters are no parameters",
                hint="resolve them before units are taken out",
            )
    chosen = _chosen(keep, groups)
    gone = _gone(model, chosen)
    state = model.state_dict()  # With the layers' versions, which some of torchvision's ask for.
    for key, value in state.items():
        layer, _, parameter = key.rpartition(".")
        state[key] = _without(value, gone.get((layer, parameter), {}))
    structure = {"heads": _heads(model, chosen), "widths": _widths(model, gone)}
    compact = rebuild(model, structure)
    compact.load_state_dict(state)
    return compact, structure


def rebuild(model: nn.Module, structure: dict[str, Any]) -> nn.Module:
    """The compact network's shapes, to load its values into.

    Args:
        model: network that units were taken out of; left as it is.
        structure: from `remove`.
    """
    compact = copy.deepcopy(model)
    known = {layers.attention: layers for layers in projections(compact)}
    for name, heads in structure["heads"].items():
        if name in known:
            _set_heads(compact.get_submodule(name), known[name], heads)
        else:
            _replace_attention(compact, name, heads)
    for name, (outputs, inputs) in structure["widths"].items():
        _resize(compact.get_submodule(name), outputs, inputs)
    return compact


# ------------------------------------------------------------------------------ what goes


def _chosen(
    keep: Mapping[str, Sequence[int]], groups: Sequence[Group]
) -> list[tuple[Group, list[int]]]:
    """Groups that lose units, and which units stay."""
    known = {group.name: group for group in groups}
    chosen = []
    for name, units in keep.items():
        if name not in known:
            raise RequestError(f"there is no group {name!r}", hint=nearest(name, list(known)))
        group, stay = known[name], sorted(set(units))
        if not stay or stay[0] < 0 or stay[-1] >= group.size:
            raise RequestError(
                f"group {name}: of its {group.size} {group.kind}s, {list(units)[:8]} can't stay",
                hint=f"keep at least one of 0 to {group.size - 1}, and no other",
            )
        if len(stay) == group.size:
            continue
        chosen.append((group, stay))
    return chosen


def _gone(model: nn.Module, chosen: Sequence[tuple[Group, list[int]]]) -> Gone:
    gone: Gone = {}
    for group, stay in chosen:
        units = sorted(set(range(group.size)) - set(stay))
        parts = [(m.layer, m.parameter, m.dim, m.index) for m in group.members]
        candidates = [(m.layer, m.index) for m in group.members if m.parameter == "weight"]
        candidates += [(follower.layer, follower.index) for follower in group.followers]
        norms = [(layer, index) for layer, index in candidates if _is_norm(model, layer)]
        everything: list[tuple[str, str, int, Any]] = [
            *parts,
            *((layer, key, 0, index) for layer, index in norms for key in _RUNNING),
        ]
        for layer, parameter, dim, index in everything:
            positions = gone.setdefault((layer, parameter), {}).setdefault(dim, set())
            positions.update(position for unit in units for position in index[unit])
    return gone


_RUNNING = ("running_mean", "running_var")


def _is_norm(model: nn.Module, layer: str) -> bool:
    return isinstance(model.get_submodule(layer), CHANNEL_NORMS)


def _without(value: torch.Tensor, gone: dict[int, set[int]]) -> torch.Tensor:
    for dim, positions in gone.items():
        left = [position for position in range(value.shape[dim]) if position not in positions]
        value = value.index_select(dim, torch.tensor(left, device=value.device))
    return value


# ------------------------------------------------------------------------------ structure


def _heads(model: nn.Module, chosen: Sequence[tuple[Group, list[int]]]) -> dict[str, int]:
    """By the name of an attention, how many heads it is left with."""
    owners = {layers.inputs[0]: layers.attention for layers in projections(model)}
    return {
        owners.get(group.name, group.name): len(stay)
        for group, stay in chosen
        if group.kind == "head"
    }


def _widths(model: nn.Module, gone: Gone) -> dict[str, tuple[int, int]]:
    """Outputs and inputs (of a convolution's group) of the layers that shrink; norms have 1."""
    widths = {}
    for layer in {layer: None for layer, _ in gone}:
        module = model.get_submodule(layer)
        if isinstance(module, nn.MultiheadAttention | HeadAttention):
            continue
        if isinstance(module, CHANNEL_NORMS):
            widths[layer] = (module.num_features - len(gone[layer, _RUNNING[0]][0]), 1)
            continue
        lost = gone.get((layer, "weight"), {})
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        left = [length - len(lost.get(dim, ())) for dim, length in enumerate(weight.shape[:2])]
        widths[layer] = (left[0], left[1] if len(left) == 2 else 1)
    return widths


def _set_heads(attention: Any, layers: Projections, heads: int) -> None:
    size = layers.width // layers.heads
    if layers.counter is not None:
        setattr(attention, layers.counter, heads)
    if hasattr(attention, "all_head_size"):
        attention.all_head_size = heads * size


def _replace_attention(model: nn.Module, name: str, heads: int) -> None:
    parent, _, own = name.rpartition(".")
    attention = model.get_submodule(name)
    assert isinstance(attention, nn.MultiheadAttention | HeadAttention)
    smaller = HeadAttention(attention, heads).train(attention.training)
    setattr(model.get_submodule(parent), own, smaller)


def _resize(layer: Any, outputs: int, inputs: int) -> None:
    """Give a layer other widths; its values are zeros."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = outputs, inputs
        _reshape(layer, "weight", (outputs, inputs))
    elif isinstance(layer, CONVOLUTIONS):
        # Groups go whole, so that their share is that of the filters.
        groups = layer.groups * outputs // layer.out_channels if layer.groups > 1 else 1
        layer.out_channels, layer.in_channels, layer.groups = outputs, inputs * groups, groups
        _reshape(layer, "weight", (outputs, inputs, *layer.kernel_size))
    elif isinstance(layer, CHANNEL_NORMS):
        layer.num_features = outputs
        for key in ("weight", *_RUNNING):
            _reshape(layer, key, (outputs,))
    else:
        layer.num_parameters = outputs
        _reshape(layer, "weight", (outputs,))
    _reshape(layer, "bias", (outputs,))


def _reshape(layer: nn.Module, name: str, shape: tuple[int, ...]) -> None:
    old = getattr(layer, name, None)
    if old is None:
        return
    zeros = old.new_zeros(shape)
    learned = isinstance(old, nn.Parameter)
    setattr(layer, name, nn.Parameter(zeros, old.requires_grad) if learned else zeros)
