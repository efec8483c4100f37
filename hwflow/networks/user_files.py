"""The user's Python files: imported anew with what lies beside them, and which files that reads."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import hwflow


class _Entry(str):
    """An entry of `sys.path` that was put there for a user's file."""


# Folders that modules were imported from, the latest first; they end `sys.path`.
_imported_from: list[str] = []


@contextlib.contextmanager
def importing_from(folders: Sequence[Path]) -> Iterator[None]:
    """Have modules beside a file of the user's imported, before all others, and anew.

    What an earlier import left in `sys.modules` is dropped: all modules that lie in these folders
    or in those of the import before, and other files' modules that have the name of one there.
    Behind it the folders stay at the end of `sys.path`, for what is imported when it is first used.
    No byte code is written: its times are too coarse to tell that a file has changed.

    Args:
        folders: to import from, the first before the second.
    """
    own = list(dict.fromkeys(os.path.abspath(folder) for folder in folders))
    _drop_modules(own)
    later = [folder for folder in _imported_from if folder not in own]
    _imported_from[:] = [*own, *later]
    sys.path[:] = [*map(_Entry, own), *_entries_of_others(), *map(_Entry, later)]
    importlib.invalidate_caches()
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_none
        # What the user's code did to the path stays.
        sys.path[:] = [*_entries_of_others(), *map(_Entry, _imported_from)]
        for reading in _readings:
            reading.imported(own)


def _entries_of_others() -> list[str]:
    return [entry for entry in sys.path if not isinstance(entry, _Entry)]


def _drop_modules(folders: Sequence[str]) -> None:
    there = {Path(entry).stem for folder in folders for entry in _listed(folder)}
    for name, module in list(sys.modules.items()):
        if name == "__main__" or module is None:
            continue
        origins = _origins(module)
        named_so = name.partition(".")[0] in there and any(map(_is_loose, origins))
        if named_so or any(is_users(origin, [*folders, *_imported_from]) for origin in origins):
            del sys.modules[name]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # The file in it is asked for next, and reported.
        return []


def _origins(module: ModuleType) -> list[str]:
    """The file that a module is from; of a package without one, its folders."""
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return [os.path.abspath(file)]
    try:
        return [os.path.abspath(folder) for folder in getattr(module, "__path__", ())]
    except (TypeError, KeyError, AttributeError):  # Modules that make their attributes up.
        return []


_INSTALLED = frozenset({"site-packages", "dist-packages"})
_LIBRARIES = tuple(
    os.path.abspath(folder)
    for folder in {
        os.path.dirname(hwflow.__file__),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")),
    }
)


def _is_loose(path: str) -> bool:
    """Whether a file belongs to no installed package, nor to Python or hwflow."""
    return not _INSTALLED & set(Path(path).parts) and not any(
        _is_under(path, library) for library in _LIBRARIES
    )


def is_users(path: str, folders: Iterable[str]) -> bool:
    """Whether a file is the user's, of one of some folders.

    Packages that are installed in a folder, as into a virtual environment there, are not; nor are
    Python and hwflow.

    Args:
        path: absolute.
        folders: absolute.
    """
    for folder in folders:
        if not _is_under(path, folder):
            continue
        parts = set(Path(os.path.relpath(path, folder)).parts)
        libraries = [library for library in _LIBRARIES if not _is_under(folder, library)]
        if not parts & _INSTALLED and not any(_is_under(path, library) for library in libraries):
            return True
    return False


def _is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


# ------------------------------------------------------------------------------ files that are read


class _Reading:
    """Notes files that are opened for reading, and the folders that modules are imported from."""

    def __init__(self, folder: Path) -> None:
        self.folders = [os.path.abspath(folder)]
        self.opened: set[str] = set()
        self.modules: set[str] = set()
        self.imports = False

    def imported(self, folders: Sequence[str]) -> None:
        """Note the modules of an import, which a later one may drop."""
        self.imports = True
        self.folders += [folder for folder in folders if folder not in self.folders]
        self.modules.update(_files_of_modules(self.folders))

    def files(self) -> set[Path]:
        """The user's among them that are there; of those that were opened, no byte code."""
        if self.imports:
            self.modules.update(_files_of_modules(self.folders))
        candidates = self.modules | {
            path for path in self.opened if "__pycache__" not in Path(path).parts
        }
        users = {path for path in candidates if is_users(path, self.folders)}
        # What lies elsewhere behind a link in the folder is found by the link, and the other way.
        for path in candidates - users:
            real = os.path.realpath(path)
            if is_users(real, [os.path.realpath(folder) for folder in self.folders]):
                users.add(real)
        return {Path(path) for path in users if os.path.isfile(path)}


def _files_of_modules(folders: Sequence[str]) -> list[str]:
    origins = [origin for module in list(sys.modules.values()) for origin in _origins(module)]
    return [origin for origin in origins if is_users(origin, folders)]


_readings: list[_Reading] = []
_hooks: list[Any] = []


@contextlib.contextmanager
def files_read(folder: Path) -> Iterator[set[Path]]:
    """Note which of the user's files are read, as modules or in any other way.

    Libraries that open files outside of Python go unnoticed, as that of HDF5. Of safetensors, what
    the user's code calls is noted (`safetensors.torch.load_file`, `safe_open`).

    Args:
        folder: the recipe's; where networks are imported from other folders, these count too.

    Yields:
        A set that holds, once the context is left, absolute paths: modules that were imported and
        files that were opened for reading, `__pycache__` left out.
    """
    if not _hooks:  # A hook can't be taken out again.
        sys.addaudithook(_note_opened)
        _hooks.append(_note_opened)
    files: set[Path] = set()
    reading = _Reading(folder)
    _readings.append(reading)
    try:
        with _safetensors_noted():
            yield files
    finally:
        _readings.remove(reading)
        files |= reading.files()


@contextlib.contextmanager
def _safetensors_noted() -> Iterator[None]:
    """Note what safetensors opens, which no hook of Python's sees."""
    import safetensors.torch

    modules: list[Any] = [safetensors, safetensors.torch]
    original = modules[0].safe_open

    def noted(filename: Any, *args: Any, **options: Any) -> Any:
        _note_opened("open", (filename, "r", 0))
        return original(filename, *args, **options)

    for module in modules:
        module.safe_open = noted
    try:
        yield
    finally:
        for module in modules:
            module.safe_open = original


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _readings:
        return
    path, mode, flags = arguments
    if not isinstance(path, str | bytes | os.PathLike):  # A descriptor that is open already.
        return
    if mode is not None:
        reads = "r" in mode or "+" in mode
    else:
        reads = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) != os.O_WRONLY
    if reads:
        opened = os.path.abspath(os.fsdecode(path))
        for reading in _readings:
            reading.opened.add(opened)
