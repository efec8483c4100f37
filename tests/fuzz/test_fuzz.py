"""A fixed set of the fuzzer's cases, those that found a defect, and the fuzzer itself."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fuzzing.brevitas_network import BrevitasNetwork, Layer
from tests.support.fuzzing.case import BREVITAS, Case, random_case
from tests.support.fuzzing.check import Failure, outcome
from tests.support.fuzzing.shrink import shrink
from tests.support.random_images import Block, Description

FOUND = sorted(Path(__file__).with_name("cases").glob("*.json"))


@pytest.mark.parametrize("seed", range(20))
def test_the_emulator_computes_what_the_software_computes(finn, models, seed):
    assert outcome(random_case(seed), models) == "ok"


@pytest.mark.parametrize("seed", [2])
def test_the_rtl_computes_what_the_emulator_computes(finn, models, seed):
    case = replace(random_case(seed, rtl=True), fifos=seed)
    assert outcome(case, models) == "ok"


@pytest.mark.parametrize("file", FOUND, ids=lambda file: file.stem)
def test_a_defect_that_was_found_is_none_any_more(finn, models, file):
    assert outcome(Case.from_json(json.loads(file.read_text())), models) == "ok"


@pytest.mark.parametrize("seed", [0, 1, BREVITAS - 1])
def test_a_case_is_saved_and_read_again(seed):
    case = random_case(seed, rtl=True)
    again = Case.from_json(json.loads(json.dumps(case.as_json())))
    assert again == case


def test_one_seed_gives_one_network(finn):
    first, second = (random_case(BREVITAS - 1).build() for _ in range(2))
    assert first.model.SerializeToString() == second.model.SerializeToString()


def test_shrinking_keeps_what_fails_and_nothing_else():
    block = Block("depthwise", 6, (3, 2), (2, 1), (1, 2), (1, 0, 1, 1), 5, 6, signed=True)
    blocks = (Block("conv"), block, Block("max_pool"))
    case = Case(Description((3, 9, 8), blocks, "global", 6, 7, seed=4), 5, "dsp", True, 6, 30, 50)

    def fails(candidate):
        return any(
            b.kind == "depthwise" and b.weight_bits >= 3 and b.stride[0] == 2
            for b in candidate.network.blocks
        )

    small = shrink(case, fails)
    least = Block("depthwise", 1, (1, 1), (2, 1), weight_bits=3, activation_bits=1)
    least = replace(least, batch_norm=False)
    network = Description((1, 1, 1), (least,), classes=2, input_bits=1, seed=4)
    assert small == Case(network, None, "lut", True, 1)


def test_shrinking_a_network_of_torch_takes_away_its_layers():
    layers = (Layer("conv"), Layer("residual"), Layer("max_pool"))
    network = BrevitasNetwork((3, 8, 7), layers, True, 6, 4, 4, 4, 8, "per_channel", "float", 0)
    small = shrink(Case(network), lambda c: any(b.kind == "residual" for b in c.network.blocks))
    assert [layer.kind for layer in small.network.blocks] == ["residual"]
    assert small.network.shape == (1, 1, 1)


def test_an_error_that_no_document_tells_is_a_failure(finn, models, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("layer conv3 of 17")

    case = random_case(1)
    monkeypatch.setattr("tests.support.fuzzing.check.lower", broken)
    found = outcome(case, models)
    assert isinstance(found, Failure)
    assert found.way == "ZeroDivisionError: layer * of *"
    assert "Traceback" in found.message
