"""What code a module's outcome follows from: all that it reaches, and nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from hwflow.engine.code_version import PACKAGE, closure, code_version

SOURCES = {
    "__init__.py": "",
    "room/__init__.py": "from hwflow.other import thing\n",
    "room/core.sv": "module core; endmodule",
    "room/.core.sv.swp": "",
    "room/worker.py": "import json\n",
    "room/step.py": (
        "from typing import TYPE_CHECKING\n"
        "import numpy.linalg\n"
        "if TYPE_CHECKING:\n"
        "    from hwflow.types import T\n"
        "else:\n"
        "    from hwflow import choice\n"
        "def run():\n"
        "    '''Not hwflow.unused, which a sentence names.'''\n"
        "    from . import sibling\n"
        "    start('worker.py', '-m', 'hwflow.process')\n"
        "MEMBERS = Registry[int]('hwflow.members', 'MEMBER', int)\n"
    ),
    "room/sibling.py": "from ..deep.er import name\n",
    "deep/__init__.py": "",
    "deep/er.py": "name = 1\n",
    "members/__init__.py": "",
    "members/one.py": "import hwflow.behind\n",
    "members/two/__init__.py": "",
    "behind.py": "",
    "other.py": "import yaml\nthing = 1\n",
    "choice.py": "",
    "process.py": "",
    "types.py": "T = int\n",
    "unused.py": "",
}
REACHED = set(SOURCES) - {"room/.core.sv.swp", "types.py", "unused.py"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_closure_holds_what_is_reached_and_nothing_else(package: Path) -> None:
    found = closure("hwflow.room.step", package)
    assert set(found.sources) == {f"hwflow/{name}" for name in REACHED}
    assert found.distributions == ("PyYAML", "numpy")


@pytest.mark.parametrize("name", SOURCES)
def test_the_version_follows_each_source_that_is_reached(package: Path, name: str) -> None:
    before = code_version("hwflow.room.step", package)
    (package / name).write_text(SOURCES[name] + "# changed\n")
    assert (code_version("hwflow.room.step", package) != before) is (name in REACHED)


def test_a_new_file_beside_counts_and_byte_code_does_not(package: Path) -> None:
    before = code_version("hwflow.room.step", package)
    (package / "room/__pycache__").mkdir()
    (package / "room/__pycache__/step.pyc").write_text("x")
    assert code_version("hwflow.room.step", package) == before
    (package / "room/report.j2").write_text("x")
    assert code_version("hwflow.room.step", package) != before


def test_the_version_of_a_distribution_counts(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_version("hwflow.room.step", package)
    monkeypatch.setattr("hwflow.engine.code_version._version", lambda name: "999")
    assert code_version("hwflow.room.step", package) != before


def test_a_module_that_is_not_there_is_an_error(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no module hwflow\.attic"):
        code_version("hwflow.attic", package)


def test_a_package_that_adds_members_belongs_to_what_finds_them(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "theirs").mkdir(parents=True)
    (site / "theirs/__init__.py").write_text("")
    (site / "theirs/member.py").write_text("from theirs import part\n")
    (site / "theirs/part.py").write_text("")
    (site / "theirs/apart.py").write_text("")
    info = site / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hwflow.members]\nthree = theirs.member\n")
    monkeypatch.syspath_prepend(site)
    try:
        found = closure("hwflow.room.step", package)
    finally:
        sys.modules.pop("theirs", None)
    others = {name for name in found.sources if name.startswith("theirs/")}
    assert others == {"theirs/__init__.py", "theirs/member.py", "theirs/part.py"}


def test_all_of_the_package_can_be_read(tmp_path: Path) -> None:
    copy = tmp_path / "hwflow"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert closure("hwflow.cli", copy).version == closure("hwflow.cli").version
