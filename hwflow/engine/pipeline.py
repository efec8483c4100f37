"""Runs steps in order, each only when something that it follows from has changed.

A step is a function that fills a folder. When it is done, the hash of every file in the folder
is recorded; in the next build the step is skipped if its settings, its code, what it reads and
what it wrote are all as recorded. The record is removed before the folder is touched and written
after everything else, so a build that was killed continues at the step that it was in, and a
half-written file is never taken for a whole one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from hwflow.engine.artifacts import canonical_json, folder_hashes, value_hash
from hwflow.engine.code_version import code_version
from hwflow.engine.records import (
    StepRecord,
    damaged_files,
    followed_hash,
    load_record,
    save_record,
    strange_files,
)
from hwflow.engine.run_directory import OWN, claim, disk_errors
from hwflow.errors import RequestError
from hwflow.processes import terminable

ENDS = "ends"  # Key of the facts that say why a build is complete after a step.
KEPT = "kept"  # Folder for files that were found in the folder of a step, and are not the step's.

EventKind = Literal[
    "cached",  # the step had finished in an earlier build
    "damaged",  # what it wrote is not as it was; text names the files; the step runs again
    "kept",  # files in its folder that are not the step's were moved; text says where
    "started",  # text says why the step runs
    "note",  # how far it is, in the step's own words
    "finished",
    "failed",
    "interrupted",
    "removed",  # a step of an earlier build that this one does not have; its folder is gone
    "ended",  # no later step can be done; text says why
]


@dataclass(frozen=True)
class Event:
    """Something that happened to a step.

    Attributes:
        seconds: since it started, when it has ended.
        fraction: how much of its work is done, in [0, 1], where a note can tell.
    """

    kind: EventKind
    step: str
    text: str = ""
    seconds: float | None = None
    fraction: float | None = None


Note = Callable[[str, float | None], None]
Facts = TypeVar("Facts", bound=BaseModel)


@dataclass(frozen=True)
class Context:
    """What a step may use beside its own folder.

    Attributes:
        folders: the folder of each step named in `after`; to be read only.
        facts: what each of those steps returned, as JSON; see `read`.
        cache: folder for results that are found again by their content (compiled models). All
            steps and later builds share it; what is put there must appear whole.
    """

    folders: Mapping[str, Path]
    facts: Mapping[str, dict[str, Any]]
    cache: Path
    _scratch: Path
    _note: Note
    _follow: Callable[[Iterable[Path]], None]

    def read(self, step: str, facts: type[Facts]) -> Facts:
        """What a step named in `after` returned."""
        return facts.model_validate(self.facts[step])

    def follow(self, files: Iterable[Path]) -> None:
        """Say which files of the user's the step has read that its settings do not tell of: it
        runs again when one of them changes."""
        self._follow(files)

    def scratch(self, name: str) -> Path:
        """A folder of the step's own that outlives a kill, for work to continue from.

        It is emptied when the step finishes, and when the step starts with other settings, code
        or inputs than those that the work in it was done with.
        """
        folder = self._scratch / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def note(self, text: str, fraction: float | None = None) -> None:
        """Say how far the step is, in a few words and, where it is known, a number in [0, 1]."""
        self._note(text, fraction)


@dataclass(frozen=True)
class Step:
    """One step of a build.

    Attributes:
        name: such as `01-train`.
        folder: where its files go, relative to the run directory; the step's alone.
        run: fills the (empty) folder; returns a model of facts, or JSON-able ones. It reads
            nothing but its settings and what the context offers. The fact `ENDS` says why no
            later step can be done; the build is then complete. The step follows from all code that
            the module reaches in which this is defined.
        settings: JSON-able values and pydantic models that the outcome depends on. A file that
            the step reads from outside the run belongs here as its hash.
        after: names of earlier steps that it reads.
        base: folder that the places of followed files are kept relative to, so that the user may
            move it.
    """

    name: str
    folder: str
    run: Callable[[Path, Context], BaseModel | dict[str, Any] | None]
    settings: Any = None
    after: tuple[str, ...] = ()
    base: Path = Path()

    @property
    def module(self) -> str:
        """The module that `run` is defined in."""
        run: Any = self.run
        while isinstance(run, partial):
            run = run.func
        return str(getattr(run, "__module__", None) or type(run).__module__)


class Pipeline:
    """Steps that fill a run directory.

    Args:
        run_dir: an empty or new folder, or that of an earlier run.
        steps: in the order in which they run.
        title: what is built; a folder that holds something else is refused.

    Raises:
        ValueError: two steps share a name or a folder, or one comes before a step that it reads.
    """

    def __init__(self, run_dir: Path, steps: Sequence[Step], *, title: str = "") -> None:
        _check(steps)
        self.run_dir = run_dir.resolve()
        self.steps = tuple(steps)
        self.title = title

    def execute(
        self,
        until: str | None = None,
        force: bool = False,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> dict[str, StepRecord]:
        """Bring every step up to date.

        Args:
            until: last step to look at; default: all.
            force: forget all that these steps did before, caches included.
            on_event: told what happens, as it happens.

        Returns:
            The record of each step, by name, up to one that ends the build.

        Raises:
            RequestError: `until` is no step, or the folder is not one to build in.
            HwflowError: another build runs here, the disk is full or write-protected, or what a
                step raises.
            KeyboardInterrupt: Ctrl-C, or SIGTERM (`processes.Terminated`).
        """
        steps = self._up_to(until)
        with terminable(), claim(self.run_dir, self.title):
            return _Build(self.run_dir, on_event).execute(self.steps, steps, force)

    def _up_to(self, until: str | None) -> tuple[Step, ...]:
        if until is None:
            return self.steps
        names = [step.name for step in self.steps]
        if until not in names:
            raise RequestError(
                f"there is no step {until!r} in this build",
                hint=f"its steps are: {', '.join(names)}",
            )
        return self.steps[: names.index(until) + 1]


def _check(steps: Sequence[Step]) -> None:
    names: set[str] = set()
    folders: list[PurePosixPath] = []
    for step in steps:
        folder = PurePosixPath(step.folder)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", step.name) or step.name in names:
            raise ValueError(f"{step.name!r} is no name for a step, or another step has it")
        reserved = {"..", OWN, KEPT} & set(folder.parts)
        if not folder.parts or folder.is_absolute() or reserved:
            raise ValueError(f"step {step.name}: {step.folder!r} is no folder in a run directory")
        if any(folder.is_relative_to(f) or f.is_relative_to(folder) for f in folders):
            raise ValueError(f"step {step.name}: another step writes in {step.folder}")
        unknown = set(step.after) - names
        if unknown:
            raise ValueError(f"step {step.name}: {', '.join(sorted(unknown))} must come before it")
        names.add(step.name)
        folders.append(folder)


class _Build:
    """One execution of steps in a run directory that is held."""

    def __init__(self, run_dir: Path, on_event: Callable[[Event], None]) -> None:
        self.run_dir = run_dir
        self.own = run_dir / OWN
        self.on_event = on_event
        self.done: dict[str, StepRecord] = {}

    def execute(
        self, all_steps: Sequence[Step], steps: Sequence[Step], force: bool
    ) -> dict[str, StepRecord]:
        with disk_errors(self.run_dir, "preparing"):
            for folder in ("steps", "scratch", "cache"):
                if force and folder != "steps":
                    shutil.rmtree(self.own / folder, ignore_errors=True)
                (self.own / folder).mkdir(exist_ok=True)
            self._remove_leftovers({step.name: step.folder for step in all_steps})
            for step in steps if force else ():
                self._keep_strangers(_known(self._record_of(step.name)))
                _remove(self._record_of(step.name))
        for step in steps:
            causes = self._causes(step)
            with disk_errors(self.run_dir, f"checking step {step.name}"):
                record, reason = self._finished(step, causes)
            if record is None:
                record = self._run(step, causes, reason)
            else:
                self._tell("cached", step.name, seconds=record.seconds)
            self.done[step.name] = record
            if record.facts.get(ENDS):
                self._end(record, all_steps)
                break
        return self.done

    def _end(self, record: StepRecord, all_steps: Sequence[Step]) -> None:
        """Leave nothing behind of steps that an earlier build did and that this one can't do."""
        self._tell("ended", record.step, str(record.facts[ENDS]))
        with disk_errors(self.run_dir, "clearing up"):
            self._remove_leftovers({s.name: s.folder for s in all_steps if s.name in self.done})

    # ---------------------------------------------------------------- what is there already

    def _causes(self, step: Step) -> dict[str, str]:
        """Hashes of all that a step's outcome follows from."""
        return {
            "settings": value_hash([step.folder, step.settings]),
            "code": code_version(step.module),
            **{f"step {name}": self.done[name].outcome for name in step.after},
        }

    def _finished(self, step: Step, causes: dict[str, str]) -> tuple[StepRecord | None, str]:
        """The record of a step that need not run; else why it must."""
        path = self._record_of(step.name)
        folder = self.run_dir / step.folder
        try:
            record = load_record(path)
        except ValueError:
            self._tell("damaged", step.name, f"{path} is not as it was written")
            return None, "its record is damaged"
        if record is None:
            return None, "it has not finished before"
        self._keep_strangers(record)
        changed = [
            name
            for name in sorted(record.causes.keys() | causes)
            if record.causes.get(name) != causes.get(name)
        ]
        changed += [
            file
            for file, digest in record.followed.items()
            if followed_hash(step.base / file) != digest
        ]
        if changed:
            return None, f"{' and '.join(changed)} changed"
        damaged = damaged_files(folder, record)
        if damaged:
            self._tell("damaged", step.name, _listed(folder, damaged) + " not as it was written")
            return None, "its files are damaged"
        return record, ""

    def _remove_leftovers(self, places: Mapping[str, str]) -> None:
        """Remove what an earlier build left in places where this one has no such step."""
        for path in sorted((self.own / "steps").glob("*.json")):
            record = _known(path)
            if record is not None and places.get(path.stem) != record.folder:
                self._keep_strangers(record)
                _remove(self.run_dir / record.folder)
                self._tell("removed", path.stem, record.folder)
                path.unlink()

    def _keep_strangers(self, record: StepRecord | None) -> None:
        """Move files that are not the step's out of its folder: they are no part of the run."""
        if record is None:
            return
        folder = self.run_dir / record.folder
        strangers = strange_files(folder, record)
        if not strangers:
            return
        destination = self.run_dir / KEPT / time.strftime("%Y%m%d-%H%M%S") / record.folder
        for path in strangers:
            (destination / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).rename(destination / path)
        self._tell("kept", record.step, f"{_listed(folder, strangers)} moved to {destination}")

    def _record_of(self, name: str) -> Path:
        return self.own / "steps" / f"{name}.json"

    # ------------------------------------------------------------------------- running a step

    def _run(self, step: Step, causes: dict[str, str], reason: str) -> StepRecord:
        started = time.monotonic()
        with self._telling_end(step.name), disk_errors(self.run_dir, f"running step {step.name}"):
            self._tell("started", step.name, reason)
            _remove(self._record_of(step.name))
            folder = self.run_dir / step.folder
            _remove(folder)
            folder.mkdir(parents=True)
            followed: dict[str, str] = {}
            with self._context(step, causes, followed) as context:
                facts = json.loads(canonical_json(step.run(folder, context) or {}))
                record = StepRecord(
                    step.name,
                    step.folder,
                    facts,
                    time.monotonic() - started,
                    causes,
                    folder_hashes(folder),
                    followed,
                )
                save_record(self._record_of(step.name), record)
        self._tell("finished", step.name, seconds=record.seconds)
        return record

    @contextlib.contextmanager
    def _context(
        self, step: Step, causes: dict[str, str], followed: dict[str, str]
    ) -> Iterator[Context]:
        scratch = self.own / "scratch" / step.name
        current = scratch / value_hash(causes)[:16]
        for old in scratch.iterdir() if scratch.is_dir() else ():
            if old != current:
                shutil.rmtree(old)
        yield Context(
            folders={name: self.run_dir / self.done[name].folder for name in step.after},
            facts={name: self.done[name].facts for name in step.after},
            cache=self.own / "cache",
            _scratch=current,
            _note=lambda text, fraction: self._tell("note", step.name, text, fraction=fraction),
            _follow=lambda files: followed.update(
                {os.path.relpath(file, step.base): followed_hash(file) for file in files}
            ),
        )
        shutil.rmtree(scratch, ignore_errors=True)

    @contextlib.contextmanager
    def _telling_end(self, name: str) -> Iterator[None]:
        """Tell how a step ended that did not finish."""
        started = time.monotonic()
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as end:
            self._tell("interrupted", name, seconds=time.monotonic() - started)
            raise _interruption(end) from None
        except BaseException as error:
            logging.getLogger(__name__).debug("step %s", name, exc_info=True)
            self._tell("failed", name, str(error), time.monotonic() - started)
            raise

    def _tell(
        self,
        kind: EventKind,
        step: str,
        text: str = "",
        seconds: float | None = None,
        fraction: float | None = None,
    ) -> None:
        took = "" if seconds is None else f" ({seconds:.1f} s)"
        logging.getLogger(__name__).info("%s: %s %s%s", step, kind, text, took)
        self.on_event(Event(kind, step, text, seconds, fraction))


def _known(path: Path) -> StepRecord | None:
    """A record, if there is a sound one."""
    try:
        return load_record(path)
    except ValueError:
        return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _listed(folder: Path, paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(str(folder / path) for path in paths[:3]) + more


def _interruption(end: BaseException) -> BaseException:
    """The first interruption of those that led to this one: libraries (Lightning) exit instead."""
    first: BaseException = KeyboardInterrupt()
    error: BaseException | None = end
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            first = error
        error = error.__cause__ or error.__context__
    return first
