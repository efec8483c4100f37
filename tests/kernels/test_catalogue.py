"""Hardware layers are found, others' too, and what is no such layer is refused."""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from onnx import helper

from hwflow.errors import HwflowError
from hwflow.kernels import catalogue
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.pool.op import Pool_rtl
from hwflow.processes import run_process

ROOT = Path(__file__).parents[2]


@pytest.mark.rtl
def test_a_package_adds_a_layer():
    """In a process of its own: what is found by entry points is found once."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests/support/outside/signs")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", "-n", "0"]
    tests = ROOT / "tests/kernels/outside_layer.py"
    outcome = run_process([*command, tests], cwd=ROOT, env={"PYTHONPATH": path})
    assert outcome.code == 0, outcome.output


class Unfinished(KernelOp):
    BASE = Pool_rtl.BASE
    KERNEL = "unfinished"


Twin = type("Pool_rtl", (Pool_rtl,), {})


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((SimpleNamespace,), "types.SimpleNamespace is no hardware layer"),
        ((Unfinished,), "lacks .*emulation.*output_range.*sizes.*SUMMARY, RATE"),
        ((Pool_rtl, Twin), "have one name"),
    ],
)
def test_a_class_that_does_not_say_all_is_refused(finn, monkeypatch, layers, message):
    monkeypatch.setattr(catalogue, "LAYERS", layers)
    with pytest.raises(HwflowError) as caught:
        catalogue.hardware_layers.__wrapped__()
    assert re.search(message, f"{caught.value.message}; {caught.value.hint}")


def test_one_layer_implements_a_node(finn, monkeypatch):
    node = helper.make_node("Pool", ["x"], ["y"], name="pool0", domain="")
    several = {"Pool_rtl": Pool_rtl, "Other": type("Other", (Pool_rtl,), {})}
    monkeypatch.setattr(catalogue, "hardware_layers", lambda: several)
    with pytest.raises(HwflowError, match=r"pool0: .*Pool_rtl and .*Other all implement Pool"):
        catalogue.implementation(None, node)
    node.op_type = "Softmax"
    with pytest.raises(HwflowError, match="pool0: the operation Softmax has no RTL") as caught:
        catalogue.implementation(None, node)
    assert caught.value.hint == "hardware takes Pool"
