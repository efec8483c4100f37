"""Patterns of layers' names, which all stages read alike."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_regex)]

# What a pattern means, in the words of the options' descriptions.
MATCHING = (
    "Regular expression that matches the whole name of a layer (`layer1.0.conv1`) or of a module"
    " that it is in (`layer1`)."
)


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a layer's whole name, or that of a module that the layer is in.

    So what is said of a layer holds for its factors too, once it is decomposed.
    """
    parts = name.split(".")
    return any(re.fullmatch(pattern, ".".join(parts[: n + 1])) for n in range(len(parts)))
