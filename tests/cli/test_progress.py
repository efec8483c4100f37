"""What a build shows on the terminal and what goes to the log instead."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from pathlib import Path

import pytest

from hwflow.cli.progress import Progress, duration
from hwflow.engine.logs import log_to
from hwflow.engine.pipeline import Context, Event, Pipeline, Step
from hwflow.errors import HwflowError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def train(folder: Path, context: Context) -> None:
    context.note("epoch 3 of 20")
    (folder / "weights").write_text("w")


def quantize(folder: Path, context: Context) -> None:
    raise HwflowError("scale is zero")


def build(run_dir: Path, stream: io.StringIO, steps: list[Step]) -> str:
    with Progress([step.name for step in steps], stream) as progress:
        Pipeline(run_dir, steps).execute(on_event=progress)
    return stream.getvalue()


def test_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    steps = [Step("01-train", "01-train", train), Step("rtl", "rtl", train)]
    shown = build(tmp_path, io.StringIO(), steps).splitlines()
    assert shown[0] == "01-train started: it has not finished before"
    assert shown[1].startswith("01-train finished (0.")
    assert len(shown) == 4
    (tmp_path / "rtl/weights").unlink()
    shown = build(tmp_path, io.StringIO(), steps).splitlines()
    assert shown[0].startswith("01-train cached (")
    assert shown[1] == f"rtl damaged: {tmp_path}/rtl/weights not as it was written"


def test_live_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    steps = [Step("01-train", "01-train", train), Step("02-quantize", "q", quantize)]
    stream = Terminal()
    with pytest.raises(HwflowError, match="scale is zero"):
        build(tmp_path, stream, steps)
    last = stream.getvalue()
    assert "\x1b[?25l" in last
    assert last.rstrip().endswith("\x1b[?25h"), "the cursor is not back"
    assert "✓" in last
    assert "✗" in last


def test_note_is_shown_beside_the_running_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with Progress(["01-train", "rtl"], stream) as progress:
        progress(Event("started", "01-train"))
        progress(Event("note", "01-train", "epoch 3 of [20]"))
    assert "epoch 3 of [20]" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (12.34, "12.3 s"), (59.96, "1 min 00 s"), (3725, "62 min 05 s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_libraries_talk_to_the_log_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library = logging.getLogger("noisy")
    handler = logging.StreamHandler(sys.stderr)
    library.addHandler(handler)
    library.propagate = False
    library.setLevel(logging.INFO)
    with log_to(tmp_path):
        library.info("GPU available: False")
        logging.getLogger("hwflow.data").debug("split by seed 0")
        warnings.warn("deprecated layer", stacklevel=1)
        print("Generating FIFO")
        print("epoch 1\repoch 2\repoch 3", end="", file=sys.stderr)
    terminal = capsys.readouterr()
    assert terminal.out == ""
    assert terminal.err == ""
    log = (tmp_path / "build.log").read_text()
    assert "INFO    noisy: GPU available: False\n" in log
    assert "DEBUG   hwflow.data: split by seed 0\n" in log
    assert "deprecated layer" in log
    assert "stdout: Generating FIFO\n" in log
    assert "stderr: epoch 3\n" in log
    library.info("after the build")
    print("done")
    terminal = capsys.readouterr()
    assert terminal.err == "after the build\n"
    assert terminal.out == "done\n"
    library.removeHandler(handler)


def test_log_tells_the_whole_build_with_the_traceback(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    steps = [Step("01-train", "01-train", train), Step("q", "q", quantize)]
    Pipeline(run_dir, []).execute()
    with log_to(run_dir), pytest.raises(HwflowError):
        Pipeline(run_dir, steps).execute()
    log = (run_dir / "build.log").read_text()
    assert "01-train: finished" in log
    assert "q: failed scale is zero" in log
    assert 'raise HwflowError("scale is zero")' in log


def test_full_disk_does_not_break_the_log(tmp_path: Path) -> None:
    (tmp_path / "build.log").symlink_to("/dev/full")
    with log_to(tmp_path):
        for _ in range(10):
            logging.getLogger("hwflow").warning("x" * 10_000)


def test_a_build_that_ends_says_why_and_waits_for_no_step(tmp_path: Path) -> None:
    steps = [
        Step("export", "export", lambda folder, context: {"ends": "a pool is not lowered"}),
        Step("rtl", "rtl", train),
    ]
    shown = build(tmp_path, io.StringIO(), steps).splitlines()
    assert shown[-1] == "export ended: a pool is not lowered"
    assert not any(line.startswith("rtl") for line in shown)


def test_steps_that_cannot_be_done_leave_the_live_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    steps = [
        Step("export", "export", lambda folder, context: {"ends": "a pool is not lowered"}),
        Step("rtl", "rtl", train),
    ]
    shown = build(tmp_path, Terminal(), steps)
    assert "a pool is not lowered" in shown
    last = shown.rpartition("\x1b[1A")[2]
    assert "export" in last
    assert "rtl" not in last
