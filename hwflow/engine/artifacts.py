"""Files that are written whole or not at all, and recognised by their content."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces; pydantic models are dumped.

    Raises:
        TypeError: the value, or one in it, has no JSON form.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON")


def value_hash(value: Any) -> str:
    """SHA-256, in hex, of a JSON-able value or pydantic model."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256, in hex, of a file's bytes; of a symbolic link: of where it points.

    Raises:
        OSError: the file cannot be read.
    """
    if path.is_symlink():
        return hashlib.sha256(b"-> " + os.fsencode(os.readlink(path))).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_in(folder: Path) -> Iterator[Path]:
    """All files and symbolic links below a folder, in the order of their names."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from files_in(Path(entry.path))
        elif entry.is_symlink() or entry.is_file():
            yield Path(entry.path)


def folder_hashes(folder: Path) -> dict[str, str]:
    """`file_hash` of every file below a folder, by its path in the folder.

    Raises:
        OSError: a file cannot be read.
    """
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in files_in(folder)}


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that whatever happens, its name stands for the old bytes or for all new ones.

    The bytes are on the disk when this returns.

    Raises:
        OSError: the file cannot be written; the old one is untouched.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
