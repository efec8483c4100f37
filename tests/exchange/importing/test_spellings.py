"""Random networks, spelled as exporters spell them: one meaning, to the last bit."""

import numpy as np
import pytest

from hwflow.board import load_board
from hwflow.dataflow.lower import lower
from hwflow.emulate import Emulator
from hwflow.exchange.importing.execution import compare
from hwflow.exchange.importing.importer import import_model
from hwflow.exchange.reference import Reference
from hwflow.recipe import Hardware
from tests.support.model_files import WAYS, declared, random_case, respelled, saved

LOWERED = 6  # Of the networks below, so many are lowered too.
BIASED = 4  # A network with a bias, of several layers.


def assert_same(case, path):
    """The file means what the network means: all codes and logits; and what it computes itself."""
    imported = import_model(path, declared(case, path))
    codes = case.codes(16)
    inputs = case.inputs(codes)
    wanted = Reference(case.model).run(inputs)
    got = Reference(imported.normal.model).run(inputs)
    assert np.allclose(got.logits, wanted.logits, rtol=1e-6, atol=1e-6)
    for mine, theirs in zip(got.codes.values(), wanted.codes.values(), strict=True):
        assert np.array_equal(mine, theirs)
    compared = compare(imported.file, path, imported.normal, inputs.astype(np.float32), None)
    assert compared.samples == 16
    assert compared.max_abs < 1e-4 * max(1.0, np.abs(wanted.logits).max())
    return imported, codes, wanted


@pytest.mark.parametrize("seed", range(24))
def test_a_random_network_is_understood_however_it_is_spelled(tmp_path, seed):
    case = random_case(seed)
    assert_same(case, saved(respelled(case.model, seed), tmp_path))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_of_spelling_is_understood(tmp_path, way):
    case, spelled = random_case(BIASED), random_case(BIASED)
    way(spelled.model, np.random.default_rng(1))
    assert spelled.model != case.model
    assert_same(case, saved(spelled.model, tmp_path))


@pytest.mark.parametrize("seed", range(100, 100 + LOWERED))
def test_what_was_imported_lowers_to_hardware_that_computes_the_same(finn, tmp_path, seed):
    case = random_case(seed)
    path = saved(respelled(case.model, seed), tmp_path)
    imported, codes, wanted = assert_same(case, path)
    normal = saved(imported.normal.model, tmp_path, "normal.onnx")
    lowered = lower(normal, case.code, Hardware(), load_board("pynq-z2"))
    layers = Emulator(lowered.model).run_layers(codes)
    label = layers[lowered.model.graph.output[0].name][:, 0]
    assert np.array_equal(label, wanted.logits.argmax(axis=1))
