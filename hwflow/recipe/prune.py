"""Options of stage `prune`."""

from __future__ import annotations

from typing import Literal

from hwflow.recipe.training import Training


class Prune(Training):
    """Remove what the network can do without."""

    kind: Literal["prune"]
