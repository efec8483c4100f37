"""Options of torchvision's data sets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwflow.recipe.data import Rooted


class Torchvision(Rooted):
    """A data set that torchvision knows how to read and to download."""

    name: Literal["mnist", "fashion_mnist", "cifar10"]
    download: bool = Field(False, description="Download the files when they are not in `root`.")


SCHEMA = Torchvision
