"""What every data set that a recipe can name says of itself to those that know nothing of its
kind."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hwflow.config.union import OneOf
from hwflow.recipe.section import Section
from hwflow.registry import Registry


class Data(Section):
    """Options of a data set, from which each kind of data set derives.

    A kind is a subclass with `name: Literal["...", ...]`, which a module of
    `hwflow.recipe.datasets` or of an installed package has as `SCHEMA`. How it is read is a
    `hwflow.data.Loader`'s.
    """

    name: str = Field(description="What the data set is called.")
    validation: float = Field(
        0.1, gt=0, lt=0.9, description="Fraction of the training samples held out for validation."
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files that hold the samples, relative to the recipe. Data sets in a folder
        of their own are told by its name alone: they are large and don't change."""
        return ()


class TestFraction(Data):
    """A data set that comes in one piece: the test split is drawn from it too."""

    test: float = Field(0.2, gt=0, lt=0.9, description="Fraction of all samples held out for test.")


class Rooted(Data):
    """A data set that lies in a folder."""

    root: str | None = Field(
        None,
        description="Folder that holds the data set; default $HWFLOW_DATA, else ~/.cache/hwflow.",
    )


DATASETS: Registry[type[Data]] = Registry("hwflow.recipe.datasets", "SCHEMA", type[Data])
DataSpec = Annotated[Data, OneOf(DATASETS, "name")]
