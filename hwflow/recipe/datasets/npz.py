"""Options of data sets in a NumPy file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwflow.recipe.data import TestFraction


class Npz(TestFraction):
    """NumPy file with arrays `x` (N, ...) and `y` (N,); with `x_test`, `y_test` if it is split."""

    name: Literal["npz"]
    file: str = Field(description="Path of the .npz file, relative to the recipe.")

    @property
    def files(self) -> tuple[str, ...]:
        """The file."""
        return (self.file,)


SCHEMA = Npz
