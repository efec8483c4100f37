"""Options of synthetic data sets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwflow.recipe.data import TestFraction


class Synthetic(TestFraction):
    """Data that are made, where a real data set can't be had: 12 spoken keywords in 490 features
    (for Speech Commands), or radio signals of 24 modulations (for RadioML 2018.01A)."""

    name: Literal["synthetic_keywords", "synthetic_radio"]
    samples: int = Field(6000, ge=240, le=1_000_000, description="Of all splits together.")


SCHEMA = Synthetic
