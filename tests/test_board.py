import pytest

from hwflow.board import Board, load_board, load_boards
from hwflow.errors import RequestError

ZYNQ_7020 = ("arty-z7-20", "pynq-z1", "pynq-z2", "zybo-z7-20")
OTHERS = (
    *("arty-a7-100t", "arty-s7-50", "genesys-2"),
    *("kv260", "ultra96-v2", "ulx3s-85f", "zcu104"),
)

MINE = """\
name: mine
title: Mine
part: xc7z010clg400-1
family: zynq-7000
clock_mhz: 50
resources: {lut: 17600, ff: 35200, dsp: 80, bram18: 120}
source: DS190
"""


def test_every_board_is_there_with_its_source():
    boards = load_boards()
    assert {board.name for board in boards} == {*ZYNQ_7020, *OTHERS}
    for board in boards:
        assert board.resources.lut > 30_000
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
    path.write_text(MINE)
    assert load_board(str(path)).resources.dsp == 80
    path.write_text(MINE.replace("zynq-7000", "zynq-700"))
    with pytest.raises(RequestError) as caught:
        load_board(str(path))
    assert "mine.yaml:4: family" in str(caught.value)
    assert "did you mean 'zynq-7000'" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("family: zynq-7000", "family: artix-7", "4: family: xc7z010clg400-1 is of another family"),
        ("clock_mhz: 50", "clock_mhz: 1.0e-300", "5: clock_mhz: zynq-7000's clocks are 4.69 to"),
        ("clock_mhz: 50", "clock_mhz: 5000", "5: clock_mhz: zynq-7000's clocks are 4.69 to"),
        ("xc7z010clg400-1", "10CL025", "4: family: 10CL025 is of another family"),
    ],
)
def test_a_board_is_one_that_its_family_can_be(tmp_path, old, new, message):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace(old, new))
    with pytest.raises(RequestError) as caught:
        load_board(str(path))
    assert message in str(caught.value)


def test_the_schema_names_the_families():
    families = Board.model_json_schema()["properties"]["family"]["enum"]
    assert {board.family for board in load_boards()} == set(families)
