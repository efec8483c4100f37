"""The rooms of the package: each imports only from rooms before it, and no modules in a circle."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import hwflow

PACKAGE = Path(hwflow.__file__).parent
# From the first to the last; what stands in one line may not import each other.
ORDER = [
    {"errors"},
    {"registry"},
    {"config", "processes", "graphs"},
    {"families"},
    {"engine"},
    {"board", "recipe"},
    {"costs"},
    {"facts"},
    {"networks", "data"},
    {"compress"},
    {"exchange"},
    {"kernels"},
    {"dataflow"},
    {"host"},
    {"rtl"},
    {"emulate", "simulate", "synth"},
    {"verify"},
    {"bitstream"},
    {"report"},
    {"build"},
    {"cli"},
]


def module_name(path: Path) -> str:
    parts = ("hwflow", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> set[str]:
    """Modules of hwflow that a source imports, for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found & MODULES.keys() - {"hwflow"}


ARROWS = {name: imports(path) for name, path in MODULES.items()}


def room(module: str) -> str:
    return module.split(".")[1]


def floor(of: str) -> int:
    return next(number for number, rooms in enumerate(ORDER) if of in rooms)


def test_every_room_has_its_place() -> None:
    rooms = {room(name) for name in MODULES if name != "hwflow"}
    assert rooms == set().union(*ORDER)
    assert len(rooms) == sum(map(len, ORDER))


def test_no_arrow_runs_back() -> None:
    back = [
        f"{name} -> {imported}"
        for name, arrows in ARROWS.items()
        for imported in arrows
        if room(name) != room(imported) and floor(room(imported)) >= floor(room(name))
    ]
    assert back == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(ARROWS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


# Inside the last room of all work, where data climb from the request to the session.
BUILD = ["request", "causes", "materials", "top_k", "checking", "steps", "plan", "session"]


def test_a_build_is_a_line_from_its_request_to_its_session() -> None:
    def place(module: str) -> int:
        return BUILD.index(module.split(".")[2])

    inside = [name for name in MODULES if name.startswith("hwflow.build.")]
    assert {name.split(".")[2] for name in inside} == set(BUILD)
    back = [
        f"{name} -> {imported}"
        for name in inside
        for imported in ARROWS[name]
        if imported.startswith("hwflow.build.") and place(imported) > place(name)
    ]
    assert back == []


def test_steps_know_nothing_of_each_other() -> None:
    steps = [name for name in MODULES if name.startswith("hwflow.build.steps.")]
    assert len(steps) > 5
    assert not {i for name in steps for i in ARROWS[name]} & set(steps)
