"""Options of stage `train`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from hwflow.recipe.stage import Objection, StageSettings
from hwflow.recipe.training import Training


class Train(Training):
    """Train the network as it is."""

    kind: Literal["train"]

    keeps_layers: ClassVar[bool] = True

    def own_objection(self, earlier: Sequence[StageSettings]) -> Objection | None:
        """A second training in a row is the first one, longer."""
        if earlier and isinstance(earlier[-1], Train):
            return Objection("train does the same again", "raise the epochs of one of them")
        return None


SCHEMA = Train
