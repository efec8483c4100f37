"""The recipes and boards that can be named: hwflow's own, and those of installed packages.

An installed package adds a folder of YAML files by an entry point of the group `hwflow.recipes` or
`hwflow.boards`, whose value is the Python package that is the folder:

    [project.entry-points."hwflow.boards"]
    theirs = "their_package.boards"
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Literal

from hwflow.errors import HwflowError
from hwflow.registry import entry_points

PACKAGE = Path(__file__).parents[1]

Kind = Literal["boards", "recipes"]


def files(kind: Kind) -> dict[str, Path]:
    """The files of a kind by their names, which are sorted.

    Raises:
        HwflowError: the installation lacks the folder, an entry point names no folder, or two
            files have the same name.
    """
    by_name = {file.stem: file for file in _folder(kind).glob("*.yaml")}
    for point in entry_points(f"hwflow.{kind}"):
        for file in _folder_of(point, kind).glob("*.yaml"):
            if file.stem in by_name:
                raise HwflowError(
                    f"{file} is called like {by_name[file.stem]}",
                    hint="rename one of the two, or uninstall the package that it is of",
                )
            by_name[file.stem] = file
    return dict(sorted(by_name.items()))


def names(kind: Kind) -> list[str]:
    """Names of the files of a kind, sorted."""
    return list(files(kind))


def _folder(kind: Kind) -> Path:
    """hwflow's own folder: in the source tree, or inside the package."""
    for folder in (PACKAGE / "shipped" / kind, PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise HwflowError(f"the installed hwflow has no {kind}", hint="reinstall hwflow")


def _folder_of(point: metadata.EntryPoint, kind: Kind) -> Path:
    where = f"entry point {point.name} = {point.value!r}"
    try:
        package = point.load()
    except Exception as error:
        raise HwflowError(
            f"{where} can't be loaded: {type(error).__name__}: {error}",
            hint="mend or uninstall that package",
        ) from error
    folders = [Path(folder) for folder in getattr(package, "__path__", ())]
    if len(folders) != 1:
        raise HwflowError(f"{where} is no package", hint=f"name the package with the {kind}")
    return folders[0]
