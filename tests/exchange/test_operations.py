"""The records of ONNX's operations: none twice, none half, and others' are taken."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tests.support
from hwflow.dataflow.integers import JOINS, LAYERS
from hwflow.errors import HwflowError
from hwflow.exchange import operations
from hwflow.exchange.domains import QONNX
from hwflow.exchange.operations import OPERATIONS, by_name, names

OUTSIDE = Path(tests.support.__path__[0]) / "outside"


def test_every_rule_that_a_record_names_is_there():
    rules = {o.lowering for o in OPERATIONS} | {o.joining for o in OPERATIONS}
    assert rules - {None, "monotone", "identity"} == LAYERS.keys() | JOINS.keys()


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


# Imports a file with operations that only the other package knows, lowers it, and compares.
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from hwflow.dataflow.finn_setup import prepare_finn
from hwflow.emulate import Emulator
from hwflow.exchange import Reference
from hwflow.exchange.importing import normalised
from hwflow.host import divide
from tests.host.test_division import specialised
from tests.support.model_files import File, checked, kinds, saved

file = File(1, 8)
x = file.quant(file.add("SoftSign", "input", domain="acme"), 0.125, 4.0)
x = file.add("MatMul", x, file.weights(8, 6, bits=4))
x = file.quant(file.add("SoftSign", x, domain="acme", slope=2.0), 0.25, 3.0)
x = file.add("MatMul", x, file.weights(6, 6, bits=4, seed=1, scale=1.0))
x = file.quant(file.add("ReLU6", x, domain="acme"), 1.0, 3.0, signed=False)
x = file.add("MatMul", x, file.weights(6, 3, bits=4, seed=2))
model = file.model(x, 1, 3)
domain = model.opset_import.add()
domain.domain, domain.version = "acme", 1
path = saved(model, Path(sys.argv[1]))
prepare_finn()
from hwflow.data import Dataset
"""
