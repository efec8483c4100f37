"""Where the recipes and boards that come with hwflow lie."""

from __future__ import annotations

from pathlib import Path

from hwflow.errors import HwflowError

PACKAGE = Path(__file__).parents[1]


def folder(kind: str) -> Path:
    """Folder of the shipped `recipes` or `boards`: in the source tree, or inside the package.

    Raises:
        HwflowError: the installation lacks the folder.
    """
    for place in (PACKAGE / "shipped" / kind, PACKAGE.parent / kind):
        if place.is_dir():
            return place
    raise HwflowError(f"the installed hwflow has no {kind}", hint="reinstall hwflow")


def names(kind: str) -> list[str]:
    """Names of the shipped files of a kind, sorted."""
    return sorted(file.stem for file in folder(kind).glob("*.yaml"))
