"""The command line in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

import hwflow

SOURCE = Path(hwflow.__file__).parent.parent
PATIENCE = 300  # seconds, until a wait is given up


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    def steps(self, kind: str) -> list[str]:
        """The steps that something happened to, such as `finished` or `cached`."""
        words = [line.split() for line in self.err.splitlines()]
        return [w[0] for w in words if len(w) > 1 and w[1].rstrip(":") == kind]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of a command: this hwflow, whatever folder it runs in."""
    return {**os.environ, "PYTHONPATH": str(SOURCE), "COLUMNS": "200", **(extra or {})}


def hwflow_command(*args: object) -> list[str]:
    """The command line of hwflow with arguments."""
    return [sys.executable, "-m", "hwflow.cli", *map(str, args)]


def run(*args: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Run hwflow to its end."""
    done = subprocess.run(
        hwflow_command(*args), cwd=cwd, env=environment(env), capture_output=True, text=True
    )
    return Result(done.returncode, done.stdout, done.stderr)


class Running:
    """hwflow in the background.

    Args:
        args: of the command line.
        cwd: folder that it runs in.
    """

    def __init__(self, args: Sequence[object], cwd: Path) -> None:
        self.process = subprocess.Popen(
            hwflow_command(*args),
            cwd=cwd,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.out = ""
        self.lines: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_out),
            threading.Thread(target=self._read_err),
        ]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        self.out = self.process.stdout.read()

    def _read_err(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def wait_for_line(self, text: str) -> None:
        """Until a line begins so."""
        self._wait(lambda: any(line.startswith(text) for line in self.lines), text)

    def wait_for_child(self, text: str) -> None:
        """Until a descendant's command line holds the text."""
        self._wait(lambda: any(text in line for line in self.children().values()), text)

    def wait_for_file(self, path: Path) -> None:
        """Until it is there."""
        self._wait(path.exists, str(path))

    def _wait(self, condition, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (what, self.lines)
            assert self.process.poll() is None or condition(), (what, self.lines)
            time.sleep(0.02)

    def children(self) -> dict[int, str]:
        """The command lines of all descendants, by process number."""
        found = {}
        try:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                try:
                    found[child.pid] = " ".join(child.cmdline())
                except psutil.NoSuchProcess:
                    continue
        except psutil.NoSuchProcess:
            pass
        return found

    def end(self, number: signal.Signals) -> Result:
        """Send a signal and wait; nothing that was started may be left."""
        children = self.children()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        deadline = time.monotonic() + 20
        while left := [pid for pid in children if _alive(pid)]:
            assert time.monotonic() < deadline, [children[pid] for pid in left]
            time.sleep(0.05)
        return Result(self.process.returncode, self.out, "\n".join(self.lines))


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
