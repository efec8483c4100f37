"""The folder of a run: whose it is, who is building in it, and when the disk refuses."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hwflow.engine.artifacts import write_whole
from hwflow.errors import HwflowError, RequestError

OWN = ".hwflow"  # What a build needs to continue: records, lock, caches, unfinished work.

# Who has the lock. Not in the locked file, because a process that closes that anywhere unlocks it.
HOLDER = "holder.json"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG}
_LEFTOVER = 1 << 20  # bytes; with fewer free, a library's failure is taken for a full disk

# Who holds which folder in this process. The operating system's lock belongs to the process, so
# it keeps other processes out, not other threads.
_holders: dict[Path, int] = {}
os.register_at_fork(after_in_child=_holders.clear)


@contextlib.contextmanager
def claim(run_dir: Path, title: str = "") -> Iterator[None]:
    """Hold a run directory, made if there is none, so that nobody else builds in it.

    The lock ends with the process, however that ends. In the thread that holds a folder
    already, claiming it again does nothing.

    Args:
        run_dir: an empty folder, one of an earlier run, or one that does not exist yet.
        title: what is built here; a folder that holds something else is refused.

    Raises:
        RequestError: the folder is a file, or holds somebody's files or another build.
        HwflowError: another build is running in it, or it cannot be written.
    """
    run_dir = run_dir.resolve()
    me = threading.get_ident()
    if _holders.get(run_dir) == me:
        yield
        return
    with disk_errors(run_dir, "starting"):
        _adopt(run_dir)
        if _holders.setdefault(run_dir, me) != me:
            raise _occupied(run_dir)
        try:
            file = os.open(run_dir / OWN / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except BaseException:
            del _holders[run_dir]
            raise
    try:
        with disk_errors(run_dir, "starting"):
            _lock(file, run_dir)
            _entitle(run_dir, title)
        yield
    finally:
        os.close(file)
        del _holders[run_dir]


def _adopt(run_dir: Path) -> None:
    if run_dir.exists() and not run_dir.is_dir():
        raise RequestError(f"{run_dir} is a file, not a folder", hint="choose another --out")
    own = run_dir / OWN
    if not own.is_dir() and run_dir.is_dir():
        strangers = sorted(path.name for path in run_dir.iterdir() if path.name != OWN)
        if strangers:
            raise RequestError(
                f"{run_dir} is not the folder of an hwflow run: it holds {strangers[0]}",
                hint="choose an empty or a new folder with --out",
            )
    own.mkdir(parents=True, exist_ok=True)


def _lock(file: int, run_dir: Path) -> None:
    try:
        # Not flock: that lock would live on in a forked worker when this process is killed.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise _occupied(run_dir) from None
    except OSError as error:
        raise HwflowError(
            f"the file system of {run_dir} cannot lock files: {error.strerror}",
            hint="choose a folder on a local disk with --out",
        ) from error
    holder = {
        "pid": os.getpid(),
        "host": platform.node(),
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    write_whole(run_dir / OWN / HOLDER, json.dumps(holder).encode())


def _occupied(run_dir: Path) -> HwflowError:
    try:
        holder = json.loads((run_dir / OWN / HOLDER).read_text())
        who = f" (process {holder['pid']} on {holder['host']}, started {holder['started']})"
    except (OSError, ValueError):  # It is just about to be written, for the first time.
        who = ""
    return HwflowError(
        f"another build{who} is running in {run_dir}",
        hint="wait for it, end it, or choose another folder with --out",
    )


def _entitle(run_dir: Path, title: str) -> None:
    file = run_dir / OWN / "title"
    if not file.exists():
        write_whole(file, title.encode())
    existing = file.read_text()
    if existing != title:
        raise RequestError(
            f"{run_dir} holds a build of {existing or 'something else'}, not of {title}",
            hint="choose another folder with --out, or delete that one",
        )


# -------------------------------------------------------------------------- refusals of the disk


class DiskError(HwflowError):
    """The disk is full, or the folder cannot be written."""


@contextlib.contextmanager
def disk_errors(run_dir: Path, doing: str) -> Iterator[None]:
    """Turn a full or write-protected disk into an error that says where and what to do.

    A full disk is recognised in any error, because tools and libraries report it in their ways.

    Args:
        run_dir: the folder of the run.
        doing: what needs the disk, as in "while {doing}".

    Raises:
        DiskError: no space, or no permission to write in the folder.
    """
    try:
        yield
    except DiskError:
        raise
    except Exception as error:
        reason = _full(error, run_dir)
        if reason is not None:
            folder, free = _scarcest(run_dir)
            raise DiskError(
                f"no space left in {folder} while {doing}: {reason}, {_bytes(free)} free",
                hint="make room and run the same command again; finished steps are kept",
            ) from error
        if isinstance(error, OSError) and _refuses(error, run_dir):
            raise DiskError(
                f"cannot write in {run_dir} while {doing}: {error.strerror}: {error.filename}",
                hint="choose a folder that you may write in with --out",
            ) from error
        raise


def _full(error: BaseException | None, run_dir: Path) -> str | None:
    """How an error, or one that led to it, says that the disk is full."""
    if not isinstance(error, HwflowError) and _free(run_dir) < _LEFTOVER:
        return os.strerror(errno.ENOSPC)
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return os.strerror(error.errno)
        for number in _FULL - {errno.EFBIG}:
            if os.strerror(number) in str(error):
                return os.strerror(number)
        error = error.__cause__ or error.__context__
    return None


def _refuses(error: OSError, run_dir: Path) -> bool:
    """Whether the error is about writing in the folder, or about there being such a folder."""
    if error.filename is None:
        return False
    path = Path(os.fsdecode(error.filename)).absolute()
    if path.is_relative_to(run_dir):
        return error.errno in _REFUSED
    return run_dir.is_relative_to(path)


def _scarcest(run_dir: Path) -> tuple[Path, int]:
    """The place with the least bytes free, of those that a build writes to."""
    places = [run_dir, Path(tempfile.gettempdir())]
    return min(((folder, _free(folder)) for folder in places), key=lambda pair: pair[1])


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _bytes(count: int) -> str:
    return f"{count} bytes" if count < 1_000_000 else f"{count / 1e6:,.0f} MB"
