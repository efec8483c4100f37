"""Children: what they leave behind is their output, never themselves."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from hwflow.errors import ToolError
from hwflow.processes import Terminated, in_parallel, run_process, terminable


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 15
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.02)


def test_status_and_output() -> None:
    done = run_process(shell("echo out; echo err >&2; exit 3"))
    assert (done.code, done.output) == (3, "out\nerr\n")
    assert done.tail(1) == "err"


def test_signal_as_status() -> None:
    assert run_process(shell("kill -SEGV $$")).code == 128 + 11


def test_folder_and_environment(tmp_path: Path) -> None:
    done = run_process(shell("pwd; echo $FLOW $PATH"), cwd=tmp_path, env={"FLOW": "hw"})
    assert done.output == f"{tmp_path}\nhw {os.environ['PATH']}\n"


def test_log_grows_while_the_command_runs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "echo one; until test -e go; do sleep 0.01; done; echo two"
    thread = threading.Thread(target=lambda: run_process(shell(script), cwd=tmp_path, log=log))
    thread.start()
    while not log.exists() or log.read_text() != "one\n":
        time.sleep(0.01)
    (tmp_path / "go").touch()
    thread.join()
    assert run_process(shell("echo three"), log=log).output == "three\n"
    assert log.read_text() == "one\ntwo\nthree\n"


@pytest.mark.slow  # It starts a program that the tier `unit` does not know.
def test_program_by_relative_path(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(ToolError, match="no executable"):
        run_process(["./program"], cwd=tmp_path)
    program.chmod(0o755)
    assert run_process(["./program"], cwd=tmp_path).output == "hello\n"
    assert run_process([program]).output == "hello\n"


def test_missing_program() -> None:
    with pytest.raises(ToolError, match="hwflow-no-such-tool was not found") as error:
        run_process(["hwflow-no-such-tool"], hint="apt-get install it")
    assert error.value.hint == "apt-get install it"


def test_output_that_is_no_text() -> None:
    assert run_process(shell("printf '\\377'")).output == "\N{REPLACEMENT CHARACTER}"


def test_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"sh did not finish within 0.5 s\nworking"):
        run_process(
            shell("sleep 60 & echo $! > pid; echo working; wait"), cwd=tmp_path, timeout=0.5
        )
    wait_until_dead(int((tmp_path / "pid").read_text()))


def test_stubborn_children_are_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; echo $$ > pid; while true; do sleep 0.1; done"
    with pytest.raises(ToolError):
        run_process(shell(script), cwd=tmp_path, timeout=0.5)
    wait_until_dead(int((tmp_path / "pid").read_text()))


def test_parallel_results_come_in_order() -> None:
    jobs = [partial(run_process, shell(f"sleep 0.{3 - n}; echo {n}")) for n in range(3)]
    assert [done.output for done in in_parallel(jobs, 3)] == ["0\n", "1\n", "2\n"]


def test_parallel_failure_ends_the_others(tmp_path: Path) -> None:
    def fail() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        raise ToolError("this one failed")

    def wait() -> None:
        run_process(shell("echo $$ > pid.tmp; mv pid.tmp pid; sleep 60"), cwd=tmp_path)

    def late() -> None:
        (tmp_path / "late").touch()

    started = time.monotonic()
    with pytest.raises(ToolError, match="this one failed"):
        in_parallel([wait, fail, wait, late], 2)
    wait_until_dead(int((tmp_path / "pid").read_text()))
    assert time.monotonic() - started < 50, "the others were waited for"
    assert not (tmp_path / "late").exists()


def test_interrupted_parallel_jobs_end(tmp_path: Path) -> None:
    def terminate_main() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    def run_all() -> None:
        script = "echo $$ > pid.tmp; mv pid.tmp pid; sleep 60"
        with terminable():
            threading.Thread(target=terminate_main).start()
            in_parallel([partial(run_process, shell(script), cwd=tmp_path)], 2)

    with pytest.raises(Terminated):
        run_all()
    wait_until_dead(int((tmp_path / "pid").read_text()))


def test_terminable_outside_the_main_thread_does_nothing() -> None:
    def body() -> None:
        with terminable():
            results.append(True)

    results: list[bool] = []
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert results == [True]
