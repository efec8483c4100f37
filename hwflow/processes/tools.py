"""Tools that may be on a machine or not: programs, and distributions of Python."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol


class Tool(Protocol):
    """A tool.

    Attributes:
        name: what it is called.
        remedy: how to get it.
    """

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def remedy(self) -> str:
        """How to get it."""

    def version(self) -> str | None:
        """The version that is there; None if none is."""


@dataclass(frozen=True)
class Program:
    """A program that is looked for on PATH.

    Attributes:
        name: what it is called.
        arguments: with which it prints its version.
        remedy: how to get it.
        also: other names of the same program.
    """

    name: str
    arguments: tuple[str, ...]
    remedy: str
    also: tuple[str, ...] = ()

    def path(self) -> Path | None:
        """Where it is; None if it is not on PATH."""
        paths = (shutil.which(name) for name in (self.name, *self.also))
        return next((Path(path) for path in paths if path is not None), None)

    def version(self) -> str | None:
        """The version that it prints; None if it is not on PATH or does not run."""
        path = self.path()
        if path is None:
            return None
        try:
            done = subprocess.run(
                [path, *self.arguments], capture_output=True, text=True, timeout=60
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        match = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
        return match[0] if match else "found"


@dataclass(frozen=True)
class Distribution:
    """A distribution of Python, as pip calls it."""

    name: str
    remedy: str = "pip install hwflow"

    def version(self) -> str | None:
        """The version that is installed; None if it is not."""
        try:
            return metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return None
