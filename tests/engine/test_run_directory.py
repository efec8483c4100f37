"""Whose a folder is, who builds in it, and what the disk refuses."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

import pytest

from hwflow.engine.pipeline import Context, Pipeline, Step
from hwflow.engine.run_directory import claim, disk_errors
from hwflow.errors import HwflowError, RequestError


def test_new_empty_and_own_folders_are_taken(tmp_path: Path) -> None:
    for _ in range(2):
        with claim(tmp_path / "new" / "run", "digits on pynq-z2"):
            pass
    (tmp_path / "empty").mkdir()
    with claim(tmp_path / "empty"):
        pass


def test_somebodys_folder_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RequestError, match=r"not the folder of an hwflow run: .*thesis\.tex"):
        Pipeline(tmp_path, []).execute()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_other_build_is_refused(tmp_path: Path) -> None:
    with claim(tmp_path, "digits on pynq-z2"):
        pass
    with pytest.raises(RequestError, match="a build of digits on pynq-z2, not of mnist on zcu104"):
        Pipeline(tmp_path, [], title="mnist on zcu104").execute()


@pytest.mark.parametrize("below", ["", "/run"])
def test_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HwflowError, match=r"is a file|cannot write in") as error:
        Pipeline(Path(f"{tmp_path}/file{below}"), []).execute()
    assert "--out" in str(error.value)


def test_claim_again_in_the_same_thread_only(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def other() -> None:
        try:
            with claim(tmp_path):
                pass
        except HwflowError as error:
            errors.append(error)

    with claim(tmp_path):
        with claim(tmp_path):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert f"process {os.getpid()} on " in str(errors[0])
        assert refused_in_child(tmp_path), "the refusal has undone the lock"
    with claim(tmp_path):
        pass


def refused_in_child(folder: Path) -> bool:
    child = os.fork()
    if child == 0:
        try:
            with claim(folder):
                os._exit(0)
        except HwflowError:
            os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_forked_worker_neither_gets_nor_drops_the_claim(tmp_path: Path) -> None:
    with claim(tmp_path):
        assert refused_in_child(tmp_path)
        assert refused_in_child(tmp_path)
    assert not refused_in_child(tmp_path)


def in_child_without_privileges(folder: Path) -> str:
    """What building in a folder says to a user who is not above permissions, as root is."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        message = "built"
        try:
            # capset(version 3, this process; no capability effective, permitted, inheritable)
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())
            Pipeline(folder, []).execute()
        except HwflowError as error:
            message = str(error)
        finally:
            os.write(write, message.encode())
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        return pipe.read()


@pytest.mark.parametrize("new", [True, False])
def test_write_protected_folder_is_said(tmp_path: Path, new: bool) -> None:
    folder = tmp_path / "run" if new else tmp_path
    tmp_path.chmod(0o500)
    said = in_child_without_privileges(folder)
    tmp_path.chmod(0o700)
    assert f"cannot write in {folder} while starting: Permission denied" in said
    assert in_child_without_privileges(folder) == "built"


# ------------------------------------------------------------------------------- full disks


def writing_to_full_device(folder: Path, context: Context) -> None:
    (folder / "weights").symlink_to("/dev/full")
    (folder / "weights").write_bytes(b"x" * 100_000)


def failing_tool(folder: Path, context: Context) -> None:
    raise HwflowError("the C++ compiler fails:\ncc1plus: No space left on device")


def failing_library(folder: Path, context: Context) -> None:
    try:
        writing_to_full_device(folder, context)
    except OSError as error:
        raise RuntimeError("file write failed") from error


@pytest.mark.parametrize("run", [writing_to_full_device, failing_tool, failing_library])
def test_full_disk_is_recognised_in_any_error(tmp_path: Path, run: object) -> None:
    assert callable(run)
    with pytest.raises(HwflowError, match=r"no space left in .* while running step a: ") as error:
        Pipeline(tmp_path, [Step("a", "a", run)]).execute()
    assert "No space left on device" in str(error.value)
    assert "finished steps are kept" in str(error.value)


def test_full_disk_is_said_once(tmp_path: Path) -> None:
    steps = [Step("a", "a", writing_to_full_device)]
    with pytest.raises(HwflowError) as error, disk_errors(tmp_path, "reporting"):
        Pipeline(tmp_path, steps).execute()
    assert str(error.value).count("no space left in") == 1


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path, "testing"):
        (tmp_path / "missing").read_text()
