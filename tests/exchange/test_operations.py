"""The records of ONNX's operations: none twice, none half, and others' are taken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwflow.dataflow.rules import RULES
from hwflow.errors import HwflowError
from hwflow.exchange import operations
from hwflow.exchange.domains import QONNX
from hwflow.exchange.operations import OPERATIONS, by_name, names

ROOT = Path(__file__).parents[2]
OUTSIDE = ROOT / "tests/support/outside/operations"


def test_every_rule_that_a_record_names_is_there():
    rules = {o.lowering for o in OPERATIONS} | {o.joining for o in OPERATIONS}
    assert rules - {None, "monotone", "identity"} == {rule.name for rule in RULES}


def test_what_is_lowered_has_a_reference_and_an_import():
    for operation in OPERATIONS:
        if operation.lowering or operation.joining:
            assert operation.evaluate
            assert operation.translate
        assert operation.evaluate or not (operation.codes or operation.rounds)
        assert bool(operation.write) == bool(operation.domain == QONNX and operation.evaluate)
        assert operation.write_codes or not operation.rounds


def test_attributes_of_the_normal_form_are_read():
    for operation in OPERATIONS:
        assert operation.normal.keys() <= operation.reads | {"auto_pad"}


def test_operations_have_one_record(monkeypatch):
    assert len(by_name()) == sum(len(operation.types) for operation in OPERATIONS)
    assert "Conv" in names(lambda operation: operation.product)
    monkeypatch.setattr(operations, "OPERATIONS", [*OPERATIONS, next(iter(OPERATIONS))])
    by_name.cache_clear()
    try:
        with pytest.raises(HwflowError, match="there are two operations"):
            by_name()
    finally:
        by_name.cache_clear()


# Imports a file with operations that only the other package knows, lowers it, and compares all
# that hardware computes with what the other package says.
SCRIPT = """
import sys
from pathlib import Path

import numpy as np
import pytest

from hwflow.dataflow.finn_setup import prepare_finn
from hwflow.emulate import Emulator
from hwflow.errors import RequestError
from hwflow.exchange.reference import Reference
from hwflow.host import divide
from tests.host.test_division import specialised
from tests.support.model_files import File, checked, saved


def model(**attributes):
    file = File(1, 8)
    x = file.quant("input", 0.125, 4.0)
    x = file.add("MatMul", x, file.weights(8, 6))
    x = file.quant(file.add("SoftSign", x, domain="acme", **attributes), 0.25, 3.0)
    x = file.add("MatMul", x, file.weights(6, 6, seed=1, scale=1.0))
    x = file.quant(file.add("ReLU6", x, domain="acme"), 1.0, 3.0, signed=False)
    x = file.add("MatMul", x, file.weights(6, 3, seed=2))
    made = file.model(x, 1, 3)
    made.opset_import.add(domain="acme", version=1)
    return saved(made, Path(sys.argv[1]))


with pytest.raises(RequestError, match="SoftSign3: the attribute steepness=2.0 of SoftSign is not"):
    checked(model(steepness=2.0))
normal = checked(model(slope=0.5)).normal.model  # By the float64 reference and by ONNX's.
names = [node.op_type for node in normal.graph.node]
assert "SoftSign" in names and "Clip" in names and "ReLU6" not in names
prepare_finn()
division = divide(normal, None)
codes = np.random.default_rng(1).integers(-8, 8, (64, 8))
wanted = Reference(normal).run(codes * 0.125).classes()
assert len(np.unique(wanted)) > 1
assert np.array_equal(Emulator(specialised(division.graph)).run(codes), wanted)
assert [node.op_type for node in division.graph.graph.node].count("Thresholding") == 2
"""


def test_an_installed_package_adds_operations(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    paths = os.pathsep.join([*map(str, (ROOT, OUTSIDE)), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
