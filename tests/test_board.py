import pytest

from hwflow.board import load_board, load_boards
from hwflow.errors import RequestError

ZYNQ_7020 = ("arty-z7-20", "pynq-z1", "pynq-z2", "zybo-z7-20")
OTHERS = ("kv260", "ultra96-v2", "ulx3s-85f", "zcu104")


def test_every_board_is_there_with_its_source():
    boards = load_boards()
    assert {board.name for board in boards} == {*ZYNQ_7020, *OTHERS}
    for board in boards:
        assert board.resources.lut > 50_000
        assert board.source


def test_xc7z020_boards_have_what_ds190_says():
    for name in ZYNQ_7020:
        resources = load_board(name).resources
        found = (resources.lut, resources.ff, resources.dsp, resources.bram18, resources.uram)
        assert found == (53_200, 106_400, 220, 280, 0)


def test_an_unknown_board_offers_the_nearest():
    with pytest.raises(RequestError, match="did you mean 'pynq-z2'"):
        load_board("pinq-z2")


def test_a_users_board_works_by_its_path_and_its_mistakes_are_named(tmp_path):
    path = tmp_path / "mine.yaml"
    text = """\
name: mine
title: Mine
part: xc7z010clg400-1
family: zynq-7000
clock_mhz: 50
resources: {lut: 17600, ff: 35200, dsp: 80, bram18: 120}
source: DS190
"""
    path.write_text(text)
    assert load_board(str(path)).resources.dsp == 80
    path.write_text(text.replace("zynq-7000", "zynq-700"))
    with pytest.raises(RequestError) as caught:
        load_board(str(path))
    assert "mine.yaml:4: family" in str(caught.value)
    assert "did you mean 'zynq-7000'" in str(caught.value)
