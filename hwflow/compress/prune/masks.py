"""Masks on weights, as parametrizations: no layer is replaced, and the scores' gradient follows.

Of W' = M(S) * W, autograd gives dL/dW = M dL/dW', and to the score of a unit the sum over its
weights of (dL/dW')_ij W_ij.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from hwflow.compress.prune.gates import Gates


class TileMask(nn.Module):
    """Gates on tiles of a layer's weight (out, in, *kernel): rows x columns with whole kernels.

    Args:
        gates: (ceil(out / rows), ceil(in / columns)); for single weights of the weight's shape.
        tile: rows and columns; None: single weights.
    """

    def __init__(self, gates: Gates, tile: tuple[int, int] | None) -> None:
        super().__init__()
        self.gates, self.tile = gates, tile

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The masked weight."""
        return weight * spread(self.gates(), weight, self.tile)


class UnitMask(nn.Module):
    """Gates of one or several groups on slices of a parameter along a dimension.

    Args:
        gates: of the groups.
        dim: of the parameter.
        unit: (size of the dimension,) place of each slice's unit in the groups' gates, one group
            after the other; -1: none, the slice always stays.
    """

    unit: torch.Tensor

    def __init__(self, gates: Sequence[Gates], dim: int, unit: torch.Tensor) -> None:
        super().__init__()
        self.gates, self.dim = nn.ModuleList(gates), dim
        self.register_buffer("unit", unit, persistent=False)

    def forward(self, parameter: torch.Tensor) -> torch.Tensor:
        """The masked parameter."""
        values = torch.cat([*(gates() for gates in self.gates), parameter.new_ones(1)])
        shape = [1] * parameter.ndim
        shape[self.dim] = -1
        return parameter * values[self.unit].reshape(shape)


class FixedMask(nn.Module):
    """Zeros that stay zero.

    Args:
        keep: of the weight's shape, bool.
    """

    keep: torch.Tensor

    def __init__(self, keep: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("keep", keep)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The masked weight."""
        return weight * self.keep


def spread(
    values: torch.Tensor, weight: torch.Tensor, tile: tuple[int, int] | None
) -> torch.Tensor:
    """A value for each tile as one for each weight, to multiply with.

    Args:
        values: one for each tile, or for each weight if there are no tiles.
        weight: (out, in, *kernel).
        tile: rows and columns.

    Returns:
        (out, in, 1, ...), or of the weight's shape.
    """
    if tile is None:
        return values
    for dim, length in enumerate(tile):
        values = values.repeat_interleave(length, dim).narrow(dim, 0, weight.shape[dim])
    return values.reshape(*values.shape, *[1] * (weight.ndim - 2))


def tile_means(weight: torch.Tensor, tile: tuple[int, int] | None) -> torch.Tensor:
    """Mean |weight| of each tile; those at the edges may be smaller."""
    if tile is None:
        return weight.abs()
    rows, columns = tile
    matrix = weight.abs().flatten(2).mean(2) if weight.ndim > 2 else weight.abs()
    padded = nn.functional.pad(matrix, (0, -matrix.shape[1] % columns, 0, -matrix.shape[0] % rows))
    ones = nn.functional.pad(
        torch.ones_like(matrix), (0, -matrix.shape[1] % columns, 0, -matrix.shape[0] % rows)
    )
    sums, counts = (
        part.reshape(part.shape[0] // rows, rows, -1, columns).sum((1, 3))
        for part in (padded, ones)
    )
    return sums / counts


def plain_state(model: nn.Module) -> dict[str, Any]:
    """Values of a network, under the names that they have without masks."""
    state = {}
    for name, value in model.state_dict().items():
        head, masked, tail = name.partition("parametrizations.")
        if not masked:
            state[name] = value.clone()
        elif tail.endswith(".original"):
            state[head + tail.removesuffix(".original")] = value.clone()
    return state


def bake(model: nn.Module) -> None:
    """Multiply the masks into the weights, and take them off."""
    for layer in list(model.modules()):
        for name in list(getattr(layer, "parametrizations", {})):
            parametrize.remove_parametrizations(layer, name, leave_parametrized=True)


def hold_zeros(model: nn.Module, weights: Iterable[tuple[str, str]]) -> None:
    """Keep zeros of weights zero while the network trains, until `bake`.

    Args:
        model: network.
        weights: names of layers, and of their parameters.
    """
    for name, parameter in weights:
        layer = model.get_submodule(name)
        keep = getattr(layer, parameter).detach() != 0
        parametrize.register_parametrization(layer, parameter, FixedMask(keep))
