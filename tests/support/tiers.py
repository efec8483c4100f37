"""Tiers of tests: what each is, which one a test belongs to, and what a unit test may not start.

A test is of the tier that it is marked with; of `rtl` if it uses the compiled simulations (the
fixture `models`); of `build` if it is among the end-to-end tests; of `unit` otherwise. A unit test
that starts a tool or a build is an error, so a mark that is missing is not found by waiting.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hwflow.processes.children import LEASH

TIERS = {
    "unit": "runs in this process, in moments; what has no other tier",
    "slow": "trains or searches for longer, without RTL",
    "rtl": "compiles and simulates RTL, or synthesises it",
    "build": "runs whole builds, as the command line does",
}
# What a unit test may start through `run_process`: the tests of processes do.
HARMLESS = ("sh", Path(sys.executable).name)
FOLDERS = {"end_to_end": "build"}
FIXTURES = {"models": "rtl"}


class WrongTierError(AssertionError):
    """A test of the tier `unit` does what another tier is for."""


def tier_of(item: pytest.Item) -> str:
    """The tier of a test.

    Raises:
        pytest.UsageError: it is marked with two.
    """
    marked = sorted({mark.name for mark in item.iter_markers() if mark.name in TIERS})
    if len(marked) > 1:
        raise pytest.UsageError(f"{item.nodeid} is in two tiers: {', '.join(marked)}")
    if marked:
        return marked[0]
    for folder, tier in FOLDERS.items():
        if folder in item.path.parts:
            return tier
    for fixture, tier in FIXTURES.items():
        if fixture in getattr(item, "fixturenames", ()):
            return tier
    return "unit"


def tier_that_starts(command: Sequence[str]) -> str | None:
    """The tier of tests that run a command; None if any test may."""
    words = list(command)
    if str(LEASH) in words:
        words = words[words.index(str(LEASH)) + 2 :]
    elif Path(words[0]).name not in HARMLESS:
        return None  # not ours: a library that asks the machine about itself
    if "hwflow.synth.worker" in words:
        return "rtl"
    if "hwflow.cli" in words and {"build", "verify"} & set(words):
        return "build"
    return None if Path(words[0]).name in HARMLESS else "rtl"


class Guard:
    """Refuses the processes that a unit test may not start.

    `watching` is the name of the test, or None while no unit test runs. Python offers no way to
    take an audit hook out again, so one hook serves a whole session.
    """

    def __init__(self) -> None:
        self.watching: str | None = None
        sys.addaudithook(self._hear)

    @contextmanager
    def over(self, test: str) -> Iterator[None]:
        """Watch while a test runs."""
        self.watching = test
        try:
            yield
        finally:
            self.watching = None

    def _hear(self, event: str, args: tuple[object, ...]) -> None:
        if self.watching is None or event != "subprocess.Popen":
            return
        command = args[1]
        words = [command] if isinstance(command, str) else [str(w) for w in command]  # type: ignore[attr-defined]
        tier = tier_that_starts(words)
        if tier is not None:
            raise WrongTierError(
                f"{self.watching} starts {' '.join(words[-6:])}: mark it with pytest.mark.{tier}"
            )
