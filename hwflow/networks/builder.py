"""How a kind of network is built: what a builder is, and where builders are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from hwflow.errors import RequestError
from hwflow.recipe import Network
from hwflow.registry import Registry

IMAGES, SIGNALS = ("channels", "height", "width"), ("channels", "length")


@dataclass(frozen=True)
class Builder:
    """Builds the networks of one schema. A module of `hwflow.networks`, or of an installed package,
    has it as `BUILDER`.

    Attributes:
        schema: the options in the recipe.
        build: from the options, the shape of a sample, the number of classes, and the folder that
            the user's files are relative to: a network from (N, *shape) to logits (N, classes). All
            that is random in it comes from torch's generator.
    """

    schema: type[Network]
    build: Callable[[Any, tuple[int, ...], int, Path | None], nn.Module]


BUILDERS: Registry[Builder] = Registry("hwflow.networks", "BUILDER", Builder)


def check_axes(spec: Network, shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
    """See that samples have the axes that a network is for.

    Raises:
        RequestError: they have more or fewer.
    """
    if len(shape) != len(axes):
        raise RequestError(
            f"network: {spec.called} takes samples of ({', '.join(axes)}), not {shape}",
            hint="choose another network, or another data set",
        )
