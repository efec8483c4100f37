"""build.log: everything that hwflow and its libraries have to say, off the terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from hwflow.engine.run_directory import disk_errors

LOG = "build.log"
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _LogFile(logging.StreamHandler[TextIO]):
    """A log file that never breaks a build: the build itself will notice that the disk is full."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            self.stream.write(self.format(record) + self.terminator)
            self.stream.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.close()
        super().close()


class _LogWriter(io.TextIOBase):
    """A text stream whose lines go to the log."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._line = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._put(line)
        return len(text)

    def finish(self) -> None:
        """Write what has no end of line yet."""
        line, self._line = self._line, ""
        self._put(line)

    def _put(self, line: str) -> None:
        shown = line.rstrip().rpartition("\r")[2]  # of a progress bar: as it looked last
        if shown:
            self._logger.info("%s", shown)


@contextlib.contextmanager
def log_to(run_dir: Path) -> Iterator[None]:
    """Send logging, warnings and what Python code prints to `build.log` in a folder.

    Whatever is to reach the terminal must hold its stream from before.

    Raises:
        HwflowError: the file cannot be opened.
    """
    with disk_errors(run_dir, f"opening {LOG}"):
        file = _LogFile((run_dir / LOG).open("a", encoding="utf-8", errors="backslashreplace"))
    file.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger()
    level, own_level = root.level, logging.getLogger("hwflow").level
    with _terminal_handlers_off():
        root.addHandler(file)
        root.setLevel(logging.INFO)
        logging.getLogger("hwflow").setLevel(logging.DEBUG)
        logging.captureWarnings(True)
        out, err = _LogWriter("stdout"), _LogWriter("stderr")
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                yield
        finally:
            out.finish()
            err.finish()
            logging.captureWarnings(False)
            logging.getLogger("hwflow").setLevel(own_level)
            root.setLevel(level)
            root.removeHandler(file)
            file.close()


@contextlib.contextmanager
def _terminal_handlers_off() -> Iterator[None]:
    """Take away the handlers that libraries gave their loggers to write to the terminal."""
    known = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    taken = [
        (logger, handler, logger.propagate)
        for logger in known
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler)
        and handler.stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    ]
    for logger, handler, _ in taken:
        logger.removeHandler(handler)
        logger.propagate = True
    try:
        yield
    finally:
        for logger, handler, propagate in taken:
            logger.addHandler(handler)
            logger.propagate = propagate
