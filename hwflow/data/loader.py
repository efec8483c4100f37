"""How a kind of data set is read: what a loader is, and where loaders are found."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwflow.data.dataset import Encoding, Split
from hwflow.recipe import Data
from hwflow.registry import Registry

PIXELS = Encoding(scale=1 / 255, offset=0.0, minimum=0, maximum=255)


@dataclass(frozen=True)
class Samples:
    """What a data set holds.

    Attributes:
        train: for training and validation; and for test, where the data set does not say which.
        test: the data set's own test samples, if it says.
        encoding: of integer inputs; None where inputs are real values.
        name: of the data set, where it is another than the recipe's.
    """

    train: Split
    test: Split | None
    encoding: Encoding | None
    name: str | None = None


@dataclass(frozen=True)
class Loader:
    """Reads the data sets of one schema. A module of `hwflow.data`, or of an installed package, has
    it as `LOADER`.

    Attributes:
        schema: the options in the recipe.
        load: from the options, the recipe's seed and the folder that relative paths start from.
    """

    schema: type[Data]
    load: Callable[[Any, int, Path | None], Samples]


LOADERS: Registry[Loader] = Registry("hwflow.data", "LOADER", Loader)


def data_root(root: str | None, base: Path | None) -> Path:
    """The folder that a recipe's `root` means."""
    if root is None:
        default = os.environ.get("HWFLOW_DATA", "~/.cache/hwflow")
        return Path(default).expanduser()
    return (base or Path()) / Path(root).expanduser()
