"""The layers that a recipe's patterns name."""

from __future__ import annotations

from collections.abc import Iterable

from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError
from hwflow.recipe.pattern import matches


def matched(pattern: str, names: Iterable[str], where: str) -> set[str]:
    """The names that a pattern matches.

    Args:
        pattern: regular expression, see `hwflow.recipe.pattern`.
        names: of layers.
        where: the pattern's place in the recipe, in messages.

    Raises:
        RequestError: it matches none; offers the nearest names.
    """
    names = list(names)
    layers = {name for name in names if matches(pattern, name)}
    if layers:
        return layers
    hint = nearest(pattern, names) if names else "there are none"
    raise RequestError(f"{where}: {pattern!r} matches no layer", hint=hint)
