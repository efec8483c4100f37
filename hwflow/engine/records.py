"""What is known of a step that finished: kept in a sealed file, checked against its folder."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from hwflow.engine.artifacts import file_hash, files_in, value_hash, write_whole

Facts = TypeVar("Facts", bound=BaseModel)


@dataclass(frozen=True)
class StepRecord:
    """A step that finished.

    Attributes:
        step: its name.
        folder: its folder, relative to the run directory.
        facts: what it returned.
        seconds: how long it took when it ran.
        causes: hashes of all that its outcome follows from, by what that is.
        files: SHA-256 of each file that it left, by path in its folder.
        followed: SHA-256 of each of the user's files that it read beyond what its settings tell.
        cached: whether it had finished in an earlier build.
    """

    step: str
    folder: str
    facts: dict[str, Any]
    seconds: float
    causes: dict[str, str]
    files: dict[str, str]
    followed: dict[str, str] = field(default_factory=dict)
    cached: bool = field(default=False, compare=False)

    @property
    def outcome(self) -> str:
        """Hash of all that a later step can see of this one."""
        return value_hash([self.folder, self.files, self.facts])

    def read(self, facts: type[Facts]) -> Facts:
        """What the step returned, as the model that it returned."""
        return facts.model_validate(self.facts)


def save_record(path: Path, record: StepRecord) -> None:
    """Write a record, whole and sealed.

    Raises:
        OSError: it cannot be written.
    """
    content = dataclasses.asdict(record)
    del content["cached"]
    sealed = {"seal": value_hash(content), "record": content}
    write_whole(path, json.dumps(sealed, indent=1).encode())


def load_record(path: Path) -> StepRecord | None:
    """Read a record; None if there is none.

    Raises:
        ValueError: the file is not what was written.
    """
    try:
        sealed = json.loads(path.read_bytes())
        content = sealed["record"]
        if sealed["seal"] != value_hash(content):
            raise ValueError("the seal is broken")
        return StepRecord(**content, cached=True)
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def damaged_files(folder: Path, record: StepRecord) -> list[str]:
    """Paths of the files that are missing, unreadable or not as the step left them."""
    return [path for path, digest in record.files.items() if _hash(folder / path) != digest]


def strange_files(folder: Path, record: StepRecord) -> list[str]:
    """Paths of the files in a step's folder that are not the step's."""
    present = files_in(folder) if folder.is_dir() else ()
    paths = (path.relative_to(folder).as_posix() for path in present)
    return [path for path in paths if path not in record.files]


def followed_hash(path: Path) -> str:
    """SHA-256 of a file of the user's; of one that is not there, a word that says so."""
    return _hash(path) or "missing"


def _hash(path: Path) -> str | None:
    try:
        return file_hash(path)
    except OSError:  # Whatever keeps hwflow from reading it makes it useless.
        return None
