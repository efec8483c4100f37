"""Child processes that end when hwflow ends, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwflow.errors import ToolError

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class Finished:
    """A child that ended: its exit status and all that it printed."""

    code: int
    output: str

    def tail(self, lines: int = 12) -> str:
        """The last lines of the output."""
        return "\n".join(self.output.rstrip().splitlines()[-lines:])


def _end_with_parent() -> None:
    """In the child, before it starts: be killed when hwflow itself is killed (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start_process(
    args: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start a child in a process group of its own, its output in one pipe.

    Raises:
        ToolError: there is no such executable.
    """
    try:
        return subprocess.Popen(
            [os.fspath(a) for a in args],
            cwd=cwd,
            env=None if env is None else {**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    except FileNotFoundError as error:
        raise ToolError(
            f"{os.fspath(args[0])} was not found", hint="`hwflow doctor` says how to get it"
        ) from error


def end_process(process: subprocess.Popen[str]) -> None:
    """End a child and all that it started: first politely, then for certain."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(timeout=_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    if process.stdout is not None:
        process.stdout.close()


def run_process(
    args: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Finished:
    """Run a child to its end; when hwflow is interrupted meanwhile, the child ends too.

    Args:
        args: executable and arguments.
        cwd: folder to run in.
        env: variables added to the environment.
        log: file that its output is written to.

    Raises:
        ToolError: there is no such executable.
    """
    process = start_process(args, cwd=cwd, env=env)
    try:
        output, _ = process.communicate()
    except BaseException:
        end_process(process)
        raise
    if log is not None:
        log.write_text(output)
    return Finished(process.returncode, output)
