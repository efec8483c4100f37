"""The errors that hwflow raises: each says what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class HwflowError(Exception):
    """A build or a verification failed (exit code 1).

    Args:
        message: what is wrong and where, one short paragraph.
        hint: what the user can do about it; shown on a ``help:`` line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  help: {self.hint}"


class RequestError(HwflowError):
    """What was asked for is wrong: recipe, board, data or usage (exit code 2)."""

    exit_code = 2


class ToolError(HwflowError):
    """A tool that the build needs is missing, or failed (exit code 1)."""


@contextmanager
def within(where: str) -> Iterator[None]:
    """Say of the errors that are raised inside where they belong, as in `02-prune: ...`."""
    try:
        yield
    except HwflowError as error:
        error.message = f"{where}: {error.message}"
        raise
