"""Builds that are interrupted or killed with real tools running: nothing is left or done twice."""

import signal

import pytest

from tests.support.command import Running, run

RECIPE = """\
seed: 1
data: {name: digits}
network: {name: mlp, widths: [24]}
stages:
  - {kind: train, epochs: 25, batch_size: 50}
  - {kind: quantize, epochs: 25, batch_size: 50}
hardware: {target_fps: 100000}
verify: {rtl_frames: 20}
"""
BUILD = ("build", "small.yaml", "--board", "pynq-z2")
STEPS = ["check", "01-train", "02-quantize", "export", "dataflow", "rtl", "synth", "sim"]
# What runs when the signal comes: a step's beginning, and a child's command line.
TRAINING = ("02-quantize started", None)
VERILATOR = ("rtl started", "cc1plus")
YOSYS = ("synth started", "hwflow.synth.worker")


def interrupt(folder, moment, number):
    line, child = moment
    running = Running(BUILD, folder)
    running.wait_for_line(line)
    if child is not None:
        running.wait_for_child(child)
    return running.end(number)


@pytest.mark.parametrize(
    ("number", "moments", "last"),
    [
        (signal.SIGINT, (TRAINING, VERILATOR, YOSYS), "sim"),
        (signal.SIGKILL, (TRAINING, VERILATOR), "rtl"),
    ],
)
def test_each_build_goes_on_where_the_last_one_was_stopped(tmp_path, number, moments, last):
    (tmp_path / "small.yaml").write_text(RECIPE)
    done = []
    for moment in moments:
        result = interrupt(tmp_path, moment, number)
        step = moment[0].split()[0]
        assert result.steps("cached") == done
        if number == signal.SIGINT:
            assert result.code == 130
            assert "goes on from here" in result.err
            assert f"{step} interrupted" in result.err
            assert "Traceback" not in result.err
        else:
            assert result.code == -signal.SIGKILL
        done = STEPS[: STEPS.index(step)]
    result = run(*BUILD, "--until", last, cwd=tmp_path)
    assert result.code == 0, result.err
    assert result.steps("cached") == done
    assert result.steps("finished") == STEPS[len(done) : STEPS.index(last) + 1]
    assert result.steps("damaged") == []


def test_a_second_build_in_the_same_folder_is_refused(tmp_path):
    (tmp_path / "small.yaml").write_text(RECIPE)
    first = Running(BUILD, tmp_path)
    first.wait_for_line("01-train started")
    second = run(*BUILD, cwd=tmp_path)
    assert second.code == 1
    assert "another build (process" in second.err
    assert "choose another folder with --out" in second.err
    first.end(signal.SIGINT)


TAUGHT = """\
seed: 1
data: {name: digits}
network: {name: mlp, widths: [12]}
stages:
  - kind: distill
    epochs: 40
    distillation:
      teachers: [{network: {name: mlp, widths: [32]}, train: {epochs: 3}}]
"""


def test_a_teacher_that_was_trained_before_a_kill_is_not_trained_again(tmp_path):
    (tmp_path / "small.yaml").write_text(TAUGHT)
    folder = tmp_path / "runs" / "small-pynq-z2"
    running = Running(BUILD, tmp_path)
    running.wait_for_file(folder / "01-distill" / "checkpoints" / "best.ckpt")
    running.end(signal.SIGKILL)
    first = (folder / "build.log").read_text()
    assert "teacher 0: epoch 3 of 3" in first
    assert "note epoch 40 of 40" not in first
    result = run(*BUILD, cwd=tmp_path)
    assert result.code == 0, result.err
    second = (folder / "build.log").read_text().removeprefix(first)
    assert "teacher 0: epoch" not in second
    assert "note epoch 40 of 40" in second
    assert (folder / "01-distill" / "teacher-0.safetensors").exists()
