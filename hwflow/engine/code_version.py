"""Which version of the code a step would run: the content of its sources, not a number."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from hwflow.engine.artifacts import file_hash, files_in, value_hash

PACKAGE = Path(__file__).parents[1]


def code_version(
    rooms: Sequence[str], distributions: Sequence[str] = (), package: Path = PACKAGE
) -> str:
    """Hash of the sources of some of hwflow's packages and modules, and of installed versions.

    Every file of a package counts, be it Python, SystemVerilog, C++ or a template, except
    byte code and hidden files.

    Args:
        rooms: names in hwflow, such as `compress`, `recipe` or `exchange/reference`.
        distributions: names of installed distributions, such as `torch`.
        package: folder of the hwflow package.

    Raises:
        ValueError: there is no such room.
        importlib.metadata.PackageNotFoundError: there is no such distribution.
    """
    sources = {
        path.relative_to(package).as_posix(): file_hash(path)
        for room in rooms
        for path in _sources(package, room)
    }
    return value_hash([sources, {name: metadata.version(name) for name in distributions}])


def _sources(package: Path, room: str) -> list[Path]:
    folder, module = package / room, package / f"{room}.py"
    if module.is_file():
        return [module]
    files = files_in(folder) if folder.is_dir() else ()
    sources = [path for path in files if _is_source(path.relative_to(folder))]
    if not sources:
        raise ValueError(f"hwflow has no package or module {room!r}")
    return sources


def _is_source(path: Path) -> bool:
    return "__pycache__" not in path.parts and not any(p.startswith(".") for p in path.parts)
