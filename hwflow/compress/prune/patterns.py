"""Layers by patterns: regular expressions, found anywhere in a layer's name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hwflow.errors import RequestError
from hwflow.yaml_source import nearest


def matched(pattern: str, names: Iterable[str], where: str) -> set[str]:
    """The names that a pattern matches.

    Args:
        pattern: regular expression.
        names: of layers.
        where: the pattern's place in the recipe, in messages.

    Raises:
        RequestError: it matches none; offers the nearest names.
    """
    names = list(names)
    found = {name for name in names if re.search(pattern, name)}
    if found:
        return found
    if not names:
        raise RequestError(f"{where}: {pattern!r} matches no layer", hint="there are none")
    raise RequestError(f"{where}: {pattern!r} matches no layer", hint=nearest(pattern, names))
