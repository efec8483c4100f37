"""Options of folders of images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwflow.recipe.data import Rooted


class ImageFolder(Rooted):
    """Images in `root`/train/<class>/* and `root`/test/<class>/*."""

    name: Literal["image_folder"]
    size: tuple[int, int] | None = Field(
        None, description="Height and width to resize to; default: all images have one size."
    )
    grey: bool = Field(False, description="Convert to one grey channel.")


SCHEMA = ImageFolder
