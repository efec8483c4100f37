"""Options of BNN-PYNQ's fully connected networks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwflow.recipe.network import Network


class FcPreset(Network):
    """BNN-PYNQ's fully connected networks: input 2x-1, three hidden layers of 64 (tfc), 256
    (sfc) or 1024 (lfc) neurons with batch norm and dropout, no biases."""

    name: Literal["tfc", "sfc", "lfc"]
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout probability at the input and after each layer."
    )


SCHEMA = FcPreset
