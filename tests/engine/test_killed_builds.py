"""Builds in processes of their own that are killed, interrupted or run out of disk."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

import hwflow

PACKAGE = Path(hwflow.__file__).parent

# Every step reads the one before and writes 20 pieces, slowly, with a log of what happened.
BUILD = """
import os, signal, sys, time
from pathlib import Path
from hwflow.errors import HwflowError
from hwflow.engine.pipeline import Pipeline, Step
from hwflow.processes import run_process

run_dir, log = Path(sys.argv[1]), Path(sys.argv[2])
signal.signal(signal.SIGINT, signal.default_int_handler)  # Ignored in a shell's background.

def say(text):
    with log.open("a") as file:
        file.write(text + "\\n")

def slowly(name, pieces=20, seconds=0.004):
    def run(folder, context):
        say(f"begin {name}")
        known = "".join(p.joinpath("out").read_text() for p in context.folders.values())
        with (folder / "out").open("w", buffering=1) as file:
            for piece in range(pieces):
                file.write(f"{name}{piece}\\n")
                time.sleep(seconds)
            file.write(known)
        return {"length": len(known)}
    return run

def steps(names="abcdef", **options):
    return [Step(n, n, slowly(n, **options), after=tuple(names[:i][-1:]))
            for i, n in enumerate(names)]

def build(steps):
    Pipeline(run_dir, steps).execute(on_event=lambda e: say(f"{e.kind} {e.step}"))

"""


class Program:
    """A program around a build, in the folder of a test."""

    def __init__(self, folder: Path, body: str, package: Path = PACKAGE) -> None:
        self.run_dir = folder / "run"
        self.log = folder / "log"
        self.file = folder / "program.py"
        self.file.write_text(BUILD + body)
        self.env = {**os.environ, "PYTHONPATH": str(package.parent)}

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(self.file), str(self.run_dir), str(self.log)]

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self) -> str:
        done = subprocess.run(self.command, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_for(self, line: str, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 30
        while line not in self.lines:
            assert time.monotonic() < deadline, self.lines
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_dead(pids: list[int]) -> None:
    deadline = time.monotonic() + 15
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "children outlive the build"
        time.sleep(0.02)


def test_killed_at_random_moments_finished_steps_are_never_redone(tmp_path: Path) -> None:
    program = Program(tmp_path, "say('ready')\nbuild(steps())\n")
    moments = random.Random(7)
    kills = 0
    while kills < 10:
        process = program.start()
        ready = program.lines.count("ready")
        while program.lines.count("ready") == ready and process.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.15))
        kills += process.poll() is None
        process.kill()
        process.communicate()
        if program.lines[-1] == "cached f" or program.lines[-1] == "finished f":
            shutil.rmtree(program.run_dir)
            program.log.rename(tmp_path / f"log{kills}")
    program.run()
    logs = [path.read_text().splitlines() for path in tmp_path.glob("log*")]
    for lines in logs:
        for name in "abcdef":
            # A kill can come between a step's record and the news of it: then it is cached next.
            finished = [line for line in lines if line in (f"finished {name}", f"cached {name}")]
            assert f"begin {name}" not in lines[lines.index(finished[0]) :]
        assert "damaged" not in " ".join(lines)
    unfinished = sum(Counter(lines)["ready"] - 1 for lines in logs)
    assert unfinished >= 3, "the kills came too late to test anything"
    expected = ""
    for name in "abcdef":
        expected = "".join(f"{name}{piece}\n" for piece in range(20)) + expected
        assert (program.run_dir / name / "out").read_text() == expected


EVERYWHERE = """
import shutil

WATCHED = {"open", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "fcntl.lockf"}
passed = 0

def die_at(moment):
    def hook(event, arguments):
        global passed
        if event in WATCHED:
            passed += 1
            if passed == moment:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def quick(text):
    return [Step(n, n, slowly(n + t, pieces=1, seconds=0), settings=t, after=tuple("abc"[:i][-1:]))
            for i, (n, t) in enumerate(zip("abc", text))]

def killed_at(moment):
    child = os.fork()
    if child == 0:
        die_at(moment)
        build(quick("xzz"))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0

def outputs():
    return [(run_dir / n / "out").read_text() for n in "abc"]

build(quick("xzz"))
expected = outputs()
for first in (None, "xyz"):
    moment = 0
    killed = True
    while killed:
        moment += 1
        shutil.rmtree(run_dir)
        if first:
            build(quick(first))
            (run_dir / "b/mine").write_text("mine")
        log.write_text("")
        killed = killed_at(moment)
        done = {line.split()[1] for line in log.read_text().splitlines() if "finished" in line}
        log.write_text("")
        build(quick("xzz"))
        lines = log.read_text().splitlines()
        assert not done & {line.split()[1] for line in lines if "begin" in line}, (moment, lines)
        assert not any("damaged" in line for line in lines), (moment, lines)
        assert outputs() == expected, moment
        if first:
            assert [p.read_text() for p in run_dir.glob("kept/*/b/mine")] == ["mine"], moment
    print(moment)
"""


@pytest.mark.slow
def test_killed_at_every_file_operation(tmp_path: Path) -> None:
    fresh, changed = Program(tmp_path, EVERYWHERE).run().split()
    assert int(fresh) > 40
    assert int(changed) > 40


def test_killed_build_leaves_no_lock(tmp_path: Path) -> None:
    program = Program(tmp_path, "build(steps(seconds=0.004 if 'begin a' in log.read_text() else 9)")
    program.file.write_text(program.file.read_text() + ")\n")
    program.log.write_text("")
    process = program.start()
    program.wait_for("begin a", process)
    process.kill()
    process.communicate()
    program.run()
    assert program.lines[-1] == "finished f"


def test_second_build_in_one_folder_is_refused_at_once(tmp_path: Path) -> None:
    first = Program(tmp_path, "build(steps('a', seconds=3))\n")
    process = first.start()
    first.wait_for("begin a", process)
    (tmp_path / "two").mkdir()
    second = Program(
        tmp_path / "two",
        "try:\n    build(steps())\nexcept HwflowError as error:\n    print(error)\n",
    )
    second.run_dir = first.run_dir
    refusal = second.run()
    assert f"process {process.pid} on " in refusal
    assert f"started {time.strftime('%Y')}-" in refusal
    assert "is running in" in refusal
    assert second.lines == []
    assert process.poll() is None
    process.kill()
    process.communicate()


CHILDREN = """
def compile(folder, context):
    pause = "true" if log.with_name("again").exists() else "sleep 60"
    script = pause + ' & echo $$ $! > pids.tmp; mv pids.tmp pids; wait'
    run_process(["sh", "-c", script], cwd=folder)

try:
    build([*steps("a"), Step("b", "b", compile, after=("a",))])
except KeyboardInterrupt as error:
    say(type(error).__name__)
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_the_build_and_it_resumes(tmp_path: Path, number: signal.Signals) -> None:
    program = Program(tmp_path, CHILDREN)
    process = program.start()
    program.wait_for("started b", process)
    pids = program.run_dir / "b" / "pids"
    while not pids.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    children = [int(pid) for pid in pids.read_text().split()]
    assert all(alive(pid) for pid in children)
    process.send_signal(number)
    process.communicate()
    wait_until_dead(children)
    if number is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        name = {signal.SIGINT: "KeyboardInterrupt", signal.SIGTERM: "Terminated"}[number]
        assert program.lines[-2:] == ["interrupted b", name]
        assert process.returncode == 130
    program.log.with_name("again").touch()
    program.run()
    assert program.lines[-2:] == ["started b", "finished b"]
    assert program.lines.count("begin a") == 1


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_exit_by_a_library_that_caught_ctrl_c_is_an_interruption(tmp_path: Path, name: str) -> None:
    program = Program(
        tmp_path,
        f"""
def fit():
    try:
        os.kill(os.getpid(), signal.{name})
        time.sleep(5)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(1)

def train(folder, context):
    try:
        fit()
    except SystemExit as error:
        raise KeyboardInterrupt from error

for run in (lambda folder, context: fit(), train):
    try:
        build([Step("train", "train", run)])
    except KeyboardInterrupt as error:
        print(type(error).__name__, signal.getsignal(signal.SIGINT).__name__)
""",
    )
    error = {"SIGINT": "KeyboardInterrupt", "SIGTERM": "Terminated"}[name]
    assert program.run() == f"{error} default_int_handler\n" * 2
    assert program.lines == ["started train", "interrupted train"] * 2


# ----------------------------------------------------------------------- changes of the code


def test_changed_code_reruns_the_steps_that_use_it(tmp_path: Path) -> None:
    package = tmp_path / "site" / "hwflow"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "blocks").mkdir()
    work = "def work(folder, context):\n    (folder / 'out').touch()\n"
    (package / "blocks/__init__.py").write_text("from hwflow.blocks.more import work\n")
    (package / "blocks/more.py").write_text(work)
    (package / "blocks/core.sv").write_text("module core; endmodule")
    (package / "plain.py").write_text(work)
    body = """
from hwflow import blocks, plain
build([Step("a", "a", plain.work), Step("b", "b", blocks.work),
       Step("c", "c", slowly("c", pieces=1), after=("b",))])
"""
    program = Program(tmp_path, body, package)
    program.run()

    def rerun() -> list[str]:
        program.log.unlink()
        program.run()
        return [line.split()[1] for line in program.lines if line.startswith("finished")]

    assert rerun() == []
    (package / "blocks/core.sv").write_text("module core; wire w; endmodule")
    assert rerun() == ["b", "c"]  # c's code is the program, which imports blocks.
    (package / "plain.py").write_text(work + "# changed\n")
    assert rerun() == ["a", "c"]


# ------------------------------------------------------------------------------ the disk

FULL = """
import resource
ballast = run_dir.parent / "ballast"

def big(folder, context):
    say("begin big")
    with (folder / "half").open("wb") as file:
        for _ in range(60):
            file.write(b"x" * 10000)

def fill():
    if sys.argv[3] == "mounted":
        with ballast.open("wb", buffering=0) as file:
            file.write(b"x" * 700_000)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))

def free():
    ballast.unlink(missing_ok=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

all_steps = [*steps("a"), Step("big", "big", big, after=("a",))]
run_dir.parent.mkdir(exist_ok=True)
fill()
try:
    build(all_steps)
except HwflowError as error:
    print(error)
free()
build(all_steps)
"""


def can_mount() -> bool:
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(command, capture_output=True).returncode
    )


def test_full_disk_is_said_and_the_run_resumes(tmp_path: Path) -> None:
    """On a disk of 1 MB where one may be mounted, else under a limit on the size of files."""
    program = Program(tmp_path, FULL)
    disk = tmp_path / "disk"
    disk.mkdir()
    program.run_dir = disk / "run"
    command = program.command
    if can_mount():
        script = 'mount -t tmpfs -o size=1m none "$0" && exec "$@" mounted'
        command = ["unshare", "-rm", "sh", "-c", script, str(disk), *command]
    else:
        command = [*command, "limited"]
    done = subprocess.run(command, env=program.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"no space left in {program.run_dir} while running step big: " in done.stdout
    assert " free\n  help: make room and run the same command again" in done.stdout
    assert program.lines == [
        *("started a", "begin a", "finished a"),
        *("started big", "begin big", "failed big"),
        *("cached a", "started big", "begin big", "finished big"),
    ]
