"""Data sets that a recipe can name, and their options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwflow.recipe.section import Section


class Data(Section):
    """Options that every data set has."""

    validation: float = Field(
        0.1, gt=0, lt=0.9, description="Fraction of the training samples held out for validation."
    )


class TestFraction(Data):
    """A data set that comes in one piece: the test split is drawn from it too."""

    test: float = Field(0.2, gt=0, lt=0.9, description="Fraction of all samples held out for test.")


class Rooted(Data):
    """A data set that lies in a folder."""

    root: str | None = Field(
        None,
        description="Folder that holds the data set; default $HWFLOW_DATA, else ~/.cache/hwflow.",
    )


class Digits(TestFraction):
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, embedded: needs no download."""

    name: Literal["digits"]


class Torchvision(Rooted):
    """A data set that torchvision knows how to read and to download."""

    name: Literal["mnist", "fashion_mnist", "cifar10"]
    download: bool = Field(False, description="Download the files when they are not in `root`.")


class ImageFolder(Rooted):
    """Images in `root`/train/<class>/* and `root`/test/<class>/*."""

    name: Literal["image_folder"]
    size: tuple[int, int] | None = Field(
        None, description="Height and width to resize to; default: all images have one size."
    )
    grey: bool = Field(False, description="Convert to one grey channel.")


class Npz(TestFraction):
    """NumPy file with arrays `x` (N, ...) and `y` (N,); with `x_test`, `y_test` if it is split."""

    name: Literal["npz"]
    file: str = Field(description="Path of the .npz file, relative to the recipe.")


class Synthetic(TestFraction):
    """Data that are made, where a real data set can't be had: 12 spoken keywords in 490 features
    (for Speech Commands), or radio signals of 24 modulations (for RadioML 2018.01A)."""

    name: Literal["synthetic_keywords", "synthetic_radio"]
    samples: int = Field(6000, ge=240, le=1_000_000, description="Of all splits together.")


DataSpec = Annotated[
    Digits | Torchvision | ImageFolder | Npz | Synthetic, Field(discriminator="name")
]
