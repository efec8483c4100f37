"""Options of the handwritten digits."""

from __future__ import annotations

from typing import Literal

from hwflow.recipe.data import TestFraction


class Digits(TestFraction):
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, embedded: needs no download."""

    name: Literal["digits"]


SCHEMA = Digits
