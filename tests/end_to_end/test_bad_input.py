"""Bad requests: one clear error, the right exit code, and nothing lost."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import environment, hwflow_command, run

RECIPE = """\
seed: 1
data: {name: digits}
network: {name: mlp, widths: [16]}
stages:
  - {kind: train, epochs: 2, batch_size: 50}
  - {kind: quantize, epochs: 2, batch_size: 50}
verify: {rtl_frames: 20}
"""


def refusal(folder, *args, env=None):
    """The error of a command: a few lines, and no traceback."""
    result = run(*args, cwd=folder, env=env)
    assert "Traceback" not in result.err
    message = result.err[result.err.index("error:") :]
    assert len(message.splitlines()) <= 12
    assert "help:" in message
    return result.code, message


def write(folder, text, name="net.yaml"):
    (folder / name).write_text(text)
    return name


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("widths", "width", ["net.yaml:3", "did you mean 'widths'"]),
        ("epochs: 2, batch_size: 50}\nv", "weight_bits: -2}\nv", ["net.yaml:6", "weight_bits"]),
        ("seed: 1", "seed: one", ["net.yaml:1", "seed", "'one'"]),
        ("digits", "diggits", ["net.yaml:2", "did you mean 'digits'"]),
        ("name: mlp", "name: mpl", ["net.yaml:3", "did you mean 'mlp'"]),
        ("data: {name: digits}", "data: {name: mnist, root: nowhere}", ["mnist is not in"]),
        ("seed: 1", "seed: [1", ["this is not YAML"]),
        ("verify: {", "hardware: {top_k: 11}\nverify: {", ["top_k is 11", "has 10 classes"]),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path, old, new, says):
    assert old in RECIPE
    name = write(tmp_path, RECIPE.replace(old, new))
    code, message = refusal(tmp_path, "build", name, "--board", "pynq-z2")
    assert code == 2
    for words in says:
        assert words in message


def test_an_unknown_board_is_refused_before_any_work(tmp_path):
    code, message = refusal(tmp_path, "build", "digits-mlp", "--board", "pynq-z3")
    assert code == 2
    assert "did you mean 'pynq-z" in message
    assert not (tmp_path / "runs").exists()


def test_a_dataset_cut_short_is_refused(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0")
    name = write(tmp_path, RECIPE.replace("digits", "mnist"))
    code, message = refusal(
        tmp_path, "build", name, "--board", "pynq-z2", env={"HWFLOW_DATA": str(tmp_path)}
    )
    assert code == 2
    assert "damaged or cut short" in message


USER = """
from torch import nn

def raises(shape, classes):
    raise ValueError("no such width")

def squashed(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Softmax(1), nn.Linear(16, classes))
"""


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("raises", "net.py:5: ValueError: no such width"),
        ("squashed", "2: Softmax is supported at the end of a network only"),
    ],
)
def test_a_users_network_that_raises_or_cannot_be_lowered_is_refused_before_training(
    tmp_path, function, says
):
    write(tmp_path, USER, "net.py")
    text = RECIPE.replace("{name: mlp, widths: [16]}", f"{{python: 'net.py:{function}'}}")
    code, message = refusal(tmp_path, "build", write(tmp_path, text), "--board", "pynq-z2")
    assert code == 2
    assert says in message
    assert not list(tmp_path.glob("runs/*/01-train/*.safetensors"))


BOARD = """\
name: tiny
title: A board far too small
part: xc7z007sclg225-1
family: zynq-7000
clock_mhz: 100
resources: {lut: 300, ff: 500, dsp: 2, bram18: 1}
source: made up
"""


def test_a_board_far_too_small_is_said_with_the_costliest_layers(tmp_path):
    write(tmp_path, BOARD, "tiny.yaml")
    text = RECIPE + "hardware: {target_fps: 1000000}\n"
    code, message = refusal(tmp_path, "build", write(tmp_path, text), "--board", "tiny.yaml")
    assert code == 2
    assert "does not fit tiny" in message
    assert "LUT of 300 (most: " in message
    report = run("report", tmp_path / "runs" / "net-tiny", "--format", "md").out
    assert "failed" in report


def test_more_frames_than_clock_cycles_are_refused_before_training(tmp_path):
    text = RECIPE + "hardware: {target_fps: 1.0e+9}\n"
    code, message = refusal(tmp_path, "build", write(tmp_path, text), "--board", "pynq-z2")
    assert code == 2
    assert "more than the clock's 100 MHz" in message


def test_a_folding_file_that_is_not_there_is_refused_before_training(tmp_path):
    text = RECIPE + "hardware: {folding: fold.yaml}\n"
    code, message = refusal(tmp_path, "build", write(tmp_path, text), "--board", "pynq-z2")
    assert code == 2
    assert "fold.yaml: no such file" in message


def test_without_a_compiler_the_build_and_the_doctor_say_so(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "make").symlink_to(Path(shutil.which("make")))
    env = {"PATH": str(tools)}
    code, message = refusal(
        tmp_path, "build", write(tmp_path, RECIPE), "--board", "pynq-z2", env=env
    )
    assert code == 1
    assert "g++" in message
    assert "sudo apt-get install -y g++ make" in message
    code, message = refusal(tmp_path, "doctor", env=env)
    assert code == 1
    assert "missing: g++" in message
    assert "sudo apt-get install -y g++ make" in message


def test_a_full_disk_is_said_and_the_build_goes_on_when_there_is_room(tmp_path):
    write(tmp_path, RECIPE)
    build = ("build", "net.yaml", "--board", "pynq-z2", "--until", "02-quantize")
    # No file may grow beyond 4 kB: what a write meets is the error of a full quota. Nor could the
    # process save what coverage measures in it.
    unmeasured = {k: v for k, v in environment().items() if not k.startswith("COVERAGE_")}
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 4; trap "" XFSZ; exec "$@"', "bash", *hwflow_command(*build)],
        cwd=tmp_path,
        env=unmeasured,
        capture_output=True,
        text=True,
    )
    assert limited.returncode == 1
    assert "no space left" in limited.stderr
    assert "make room and run the same command again" in limited.stderr
    assert "Traceback" not in limited.stderr
    result = run(*build, cwd=tmp_path)
    assert result.code == 0, result.err


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    code, message = refusal(tmp_path, "build", "digits-mlp", "--board", "pynq-z2", "--out", "file")
    assert code == 2
    assert "is a file, not a folder" in message
    assert (tmp_path / "file").read_text() == "mine"


def test_somebodys_folder_is_not_built_in(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    code, message = refusal(
        tmp_path, "build", "digits-mlp", "--board", "pynq-z2", "--out", "thesis"
    )
    assert code == 2
    assert "holds chapter.tex" in message
    assert os.listdir(tmp_path / "thesis") == ["chapter.tex"]
