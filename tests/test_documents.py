"""What the documents quote from the repository is what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_rooms import ORDER

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md")


def test_the_code_of_the_guide_is_the_code_that_tests_use() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    blocks = re.findall(r"```(?:python|ini)\n# (\S+)\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == len(re.findall(r"```(?:python|ini)\n", text)) > 0
    for path, code in blocks:
        assert path.startswith("tests/support/outside/")
        assert (ROOT / path).read_text() == code


def test_the_architecture_has_all_rooms_in_their_order() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = text[text.index("| Room |") : text.index("## A recipe's way")]
    rows = [
        set(re.findall(r"`(\w+)/?`", line.split("|")[1])) for line in table.splitlines()[2:] if line
    ]
    place = {room: number for number, rooms in enumerate(ORDER) for room in rooms}
    assert set().union(*rows) == place.keys()
    places = [place[room] for row in rows for room in sorted(row)]
    assert places == sorted(places)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documents_link_to_files_that_there_are(document: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
        assert link.startswith("https://") or (ROOT / link).is_file()
