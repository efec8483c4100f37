"""Options of stage `decompose`."""

from __future__ import annotations

from typing import Literal

from hwflow.recipe.training import Training


class Decompose(Training):
    """Replace layers by products of smaller ones."""

    kind: Literal["decompose"]
