"""What every network that a recipe can name says of itself to those that know nothing of its
kind."""

from __future__ import annotations

from typing import Annotated

from hwflow.config.union import OneOf
from hwflow.recipe.section import Section
from hwflow.registry import Registry


class Network(Section):
    """Options of a network, from which each kind of network derives.

    A kind is a subclass with `name: Literal["...", ...]`, which a module of
    `hwflow.recipe.networks` or of an installed package has as `SCHEMA`; one without a `name` is
    told by its first field. How it is built is a `hwflow.networks.Builder`'s.
    """

    @property
    def called(self) -> str:
        """What the network is called."""
        fields = type(self).model_fields
        return str(getattr(self, "name" if "name" in fields else next(iter(fields))))

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files and folders that it is in, relative to the recipe."""
        return ()


NETWORKS: Registry[type[Network]] = Registry("hwflow.recipe.networks", "SCHEMA", type[Network])
NetworkSpec = Annotated[Network, OneOf(NETWORKS, "name")]
