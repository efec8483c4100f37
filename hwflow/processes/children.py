"""Child processes that end when hwflow ends, however it ends."""

from __future__ import annotations

import contextlib
import contextvars
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TypeVar

from hwflow.errors import ToolError

Argument = str | os.PathLike[str]
Result = TypeVar("Result")

LEASH = Path(__file__).with_name("leash.py")
_GRACE_SECONDS = 3.0
_POLL_SECONDS = 0.1

# Set when the jobs that run in parallel with this one are to be given up.
_given_up: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "given_up", default=None
)


@dataclass(frozen=True)
class Finished:
    """A child that ended.

    Attributes:
        code: its exit status; 128 + N when signal N ended it.
        output: all that it wrote to standard output and standard error.
        seconds: how long it ran.
    """

    code: int
    output: str
    seconds: float

    def tail(self, lines: int = 12) -> str:
        """The last lines of the output."""
        return "\n".join(self.output.rstrip().splitlines()[-lines:])


def run_process(
    args: Sequence[Argument],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    timeout: float | None = None,
    hint: str = "`hwflow doctor` says how to get it",
) -> Finished:
    """Run a command to its end; nothing that it started outlives an interruption of hwflow.

    The child heads a process group of its own. The whole group is ended when this call is left
    by an exception, Ctrl-C included, and (on Linux) when hwflow itself is killed.

    Args:
        args: executable and arguments.
        cwd: folder to run in.
        env: variables added to the environment.
        log: file that the output is appended to while the command runs.
        timeout: seconds that it may take.
        hint: what to do when there is no such executable.

    Raises:
        ToolError: there is no such executable, or it took longer than it may.
        OSError: the log cannot be written.
    """
    environment = {**os.environ, **(env or {})}
    command = [_executable(args[0], cwd, environment, hint), *(os.fspath(a) for a in args[1:])]
    with _output(log) as output:
        begin = output.seek(0, os.SEEK_END)
        started = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", os.fspath(LEASH), str(os.getpid()), *command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = _wait(child, timeout)
        except BaseException:
            _end(child)
            raise
        seconds = time.monotonic() - started
        output.seek(begin)
        text = output.read().decode(errors="replace")
    if code is None:
        last = "\n".join(text.splitlines()[-5:])
        raise ToolError(f"{Path(command[0]).name} did not finish within {timeout:g} s\n{last}")
    return Finished(code if code >= 0 else 128 - code, text, seconds)


def _executable(name: Argument, cwd: Path | None, env: Mapping[str, str], hint: str) -> str:
    name = os.fspath(name)
    if os.sep in name:
        name = os.path.join(os.path.abspath(cwd or "."), name)
    executable = shutil.which(name, path=env.get("PATH"))
    if executable is None:
        raise ToolError(f"{name} was not found, or is no executable file", hint=hint)
    return os.path.abspath(executable)


def _output(log: Path | None) -> IO[bytes]:
    return tempfile.TemporaryFile() if log is None else log.open("a+b")


def _wait(child: subprocess.Popen[bytes], timeout: float | None) -> int | None:
    """The child's exit status; None if it took too long and was ended."""
    given_up = _given_up.get()
    if given_up is None and timeout is None:
        return child.wait()
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    while time.monotonic() < deadline:
        if given_up is not None and given_up.is_set():
            raise CancelledError
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(_POLL_SECONDS)
    _end(child)
    return None


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child and all that it started: first politely, then for certain."""
    # Until the child is waited for, its number cannot become another group's.
    try:
        if _signal_group(child, signal.SIGTERM):
            deadline = time.monotonic() + _GRACE_SECONDS
            while time.monotonic() < deadline and not _exited(child):
                time.sleep(0.02)
    finally:
        _signal_group(child, signal.SIGKILL)
        child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    if child.returncode is not None:
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
    return True


def _exited(child: subprocess.Popen[bytes]) -> bool:
    try:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, child.pid, flags) is not None
    except ChildProcessError:
        return True


def in_parallel(jobs: Sequence[Callable[[], Result]], workers: int) -> list[Result]:
    """Call functions in threads, some at a time; their results in the order of the jobs.

    When one fails, or hwflow is interrupted, those that have not begun are left out and the
    processes of those that have (`run_process`) are ended.

    Raises:
        Exception: what the first job to fail raised.
    """
    give_up = threading.Event()

    def call(job: Callable[[], Result]) -> Result:
        _given_up.set(give_up)
        return job()

    with ThreadPoolExecutor(max(1, workers)) as pool:
        futures = [pool.submit(contextvars.copy_context().run, call, job) for job in jobs]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [error for error in (future.exception() for future in done) if error]
            if failed:
                raise failed[0]
            return [future.result() for future in futures]
        except BaseException:
            give_up.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: like Ctrl-C, but from a program."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Within this, SIGTERM raises `Terminated`, so that it leaves things as tidy as Ctrl-C does.

    Python gives signals to the main thread only; in any other this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        # SIGINT too: a library that handles Ctrl-C may have left it ignored.
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
