"""The engine: what runs again and what does not, and that nothing is lost or believed wrongly."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from hwflow.engine.artifacts import folder_hashes
from hwflow.engine.pipeline import Context, Event, Pipeline, Step
from hwflow.errors import RequestError

Run = Callable[[Path, Context], dict[str, Any] | None]


class Recorder:
    """Collects events; `ran` are the steps that ran to their end, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    @property
    def ran(self) -> list[str]:
        return [event.step for event in self.of("finished")]


def writing(text: str) -> Run:
    def run(folder: Path, context: Context) -> dict[str, Any]:
        read = "".join((place / "out.txt").read_text() for place in context.folders.values())
        (folder / "out.txt").write_text(text + read)
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "data.bin").write_bytes(bytes(range(256)) * 8)
        return {"length": len(text + read), "seen": sorted(context.facts)}

    return run


def chain(**texts: str) -> list[Step]:
    """Steps that each read the one before; a text is a step's setting and what it writes."""
    names = list(texts)
    return [
        Step(name, name, writing(text), settings={"text": text}, after=tuple(names[:i][-1:]))
        for i, (name, text) in enumerate(texts.items())
    ]


def build(folder: Path, steps: Sequence[Step], **options: Any) -> Recorder:
    recorder = Recorder()
    Pipeline(folder, steps).execute(on_event=recorder, **options)
    return recorder


# ------------------------------------------------------------------------ what runs again


def test_second_build_runs_nothing_and_returns_the_same(tmp_path: Path) -> None:
    steps = chain(a="1", b="2", c="3")
    first = Pipeline(tmp_path, steps).execute()
    recorder = Recorder()
    second = Pipeline(tmp_path, steps).execute(on_event=recorder)
    assert [event.kind for event in recorder.events] == ["cached"] * 3
    assert first == second
    assert [r.cached for r in first.values()] == [False] * 3
    assert [r.cached for r in second.values()] == [True] * 3
    assert second["c"].facts == {"length": 3, "seen": ["b"]}


def test_changed_settings_rerun_the_step_and_what_reads_it(tmp_path: Path) -> None:
    build(tmp_path, chain(a="1", b="2", c="3"))
    recorder = build(tmp_path, chain(a="1", b="two", c="3"))
    assert recorder.ran == ["b", "c"]
    assert [e.text for e in recorder.of("started")] == ["settings changed", "step b changed"]
    assert (tmp_path / "c/out.txt").read_text() == "3two1"


def test_pydantic_settings_count_by_value(tmp_path: Path) -> None:
    class Options(BaseModel):
        bits: int

    def steps(bits: int) -> list[Step]:
        return [Step("q", "q", writing("x"), settings={"options": Options(bits=bits)})]

    assert build(tmp_path, steps(4)).ran == ["q"]
    assert build(tmp_path, steps(4)).ran == []
    assert build(tmp_path, steps(5)).ran == ["q"]


def test_changed_facts_count_as_changed_outcome(tmp_path: Path) -> None:
    def steps(fact: int) -> list[Step]:
        return [
            Step("a", "a", lambda folder, context: {"fact": fact}, settings=fact),
            Step("b", "b", lambda folder, context: context.facts["a"], after=("a",)),
        ]

    build(tmp_path, steps(1))
    assert build(tmp_path, steps(2)).ran == ["a", "b"]
    assert Pipeline(tmp_path, steps(2)).execute()["b"].facts == {"fact": 2}


def test_same_outcome_after_a_change_spares_the_later_steps(tmp_path: Path) -> None:
    def steps(setting: int) -> list[Step]:
        return [
            Step("a", "a", writing("same"), settings=setting),
            Step("b", "b", writing("b"), after=("a",)),
        ]

    build(tmp_path, steps(1))
    assert build(tmp_path, steps(2)).ran == ["a"]


def test_until_stops_and_the_next_build_goes_on(tmp_path: Path) -> None:
    steps = chain(a="1", b="2", c="3")
    assert build(tmp_path, steps, until="b").ran == ["a", "b"]
    assert build(tmp_path, steps).ran == ["c"]
    with pytest.raises(RequestError, match="no step 'd'") as error:
        build(tmp_path, steps, until="d")
    assert "a, b, c" in str(error.value)


def test_force_runs_everything_and_empties_the_cache(tmp_path: Path) -> None:
    def run(folder: Path, context: Context) -> dict[str, Any]:
        known = (context.cache / "model").exists()
        (context.cache / "model").write_text("compiled")
        return {"known": known}

    steps = [Step("a", "a", run), Step("b", "b", run)]
    Pipeline(tmp_path, steps).execute()
    forced = Pipeline(tmp_path, steps).execute(force=True)
    assert not any(record.cached for record in forced.values())
    assert [record.facts["known"] for record in forced.values()] == [False, True]


def test_step_starts_in_an_empty_folder(tmp_path: Path) -> None:
    def run(name: str) -> Run:
        def write(folder: Path, context: Context) -> None:
            assert not list(folder.iterdir())
            (folder / name).write_text("x")

        return write

    build(tmp_path, [Step("a", "a", run("old"), settings=1)])
    build(tmp_path, [Step("a", "a", run("new"), settings=2)])
    assert list(folder_hashes(tmp_path / "a")) == ["new"]


def test_failed_step_is_told_and_runs_again(tmp_path: Path) -> None:
    def fail(folder: Path, context: Context) -> None:
        (folder / "half").write_text("x")
        raise ArithmeticError("no convergence")

    steps = chain(a="1")
    recorder = Recorder()
    with pytest.raises(ArithmeticError):
        Pipeline(tmp_path, [*steps, Step("b", "b", fail)]).execute(on_event=recorder)
    assert recorder.events[-1].kind == "failed"
    assert recorder.events[-1].text == "no convergence"
    assert build(tmp_path, [*steps, Step("b", "b", writing("2"))]).ran == ["b"]


def test_facts_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        build(tmp_path, [Step("a", "a", lambda folder, context: {"path": folder})])


def test_scratch_outlives_a_failure_but_not_a_change(tmp_path: Path) -> None:
    def steps(setting: int, fail: bool) -> list[Step]:
        def run(folder: Path, context: Context) -> dict[str, Any]:
            checkpoint = context.scratch("training") / "epoch"
            epoch = int(checkpoint.read_text()) if checkpoint.exists() else 0
            checkpoint.write_text(str(epoch + 1))
            if fail:
                raise ArithmeticError
            return {"resumed_from": epoch}

        return [Step("a", "a", run, settings=setting)]

    for _ in range(2):
        with pytest.raises(ArithmeticError):
            build(tmp_path, steps(1, fail=True))
    assert Pipeline(tmp_path, steps(1, fail=False)).execute()["a"].facts == {"resumed_from": 2}
    for setting in (2, 3):
        with pytest.raises(ArithmeticError):
            build(tmp_path, steps(setting, fail=True))
    assert Pipeline(tmp_path, steps(4, fail=False)).execute()["a"].facts == {"resumed_from": 0}


def test_steps_that_are_gone_leave_no_folder(tmp_path: Path) -> None:
    build(tmp_path, chain(a="1", b="2", c="3"))
    (tmp_path / "b/mine.txt").write_text("notes")
    recorder = build(tmp_path, chain(a="1", c="3"))
    assert [(e.step, e.text) for e in recorder.of("removed")] == [("b", "b")]
    assert not (tmp_path / "b").exists()
    assert [path.read_text() for path in tmp_path.glob("kept/*/b/mine.txt")] == ["notes"]


def test_steps_may_swap_folders(tmp_path: Path) -> None:
    def steps(first: str, second: str) -> list[Step]:
        return [Step("a", first, writing("a")), Step("b", second, writing("b"))]

    build(tmp_path, steps("x", "y"))
    build(tmp_path, steps("y", "x"))
    assert (tmp_path / "y/out.txt").read_text() == "a"
    assert (tmp_path / "x/out.txt").read_text() == "b"
    assert build(tmp_path, steps("y", "x")).ran == []


@pytest.mark.parametrize(
    "steps",
    [
        [("a", "a", ()), ("a", "b", ())],
        [("a", "x", ()), ("b", "x", ())],
        [("a", "x", ()), ("b", "x/y", ())],
        [("a", "x", ("b",)), ("b", "y", ())],
        [("a", "../x", ())],
        [("a", "/x", ())],
        [("a", ".", ())],
        [("a", ".hwflow", ())],
        [("a", "kept", ())],
        [("a", "x/../../y", ())],
        [("a/b", "x", ())],
    ],
)
def test_steps_that_cannot_work_are_refused(tmp_path: Path, steps: list[Any]) -> None:
    with pytest.raises(ValueError, match="step"):
        Pipeline(tmp_path, [Step(n, f, writing(""), after=after) for n, f, after in steps])


# -------------------------------------------------------------------------------- damage


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def swap_for_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [flip, truncate, Path.unlink, swap_for_folder])
@pytest.mark.parametrize("file", ["out.txt", "deep/er/data.bin"])
def test_damage_is_said_and_mended(tmp_path: Path, harm: Callable[[Path], None], file: str) -> None:
    steps = chain(a="one", b="two", c="three")
    build(tmp_path, steps)
    whole = {step.name: folder_hashes(tmp_path / step.folder) for step in steps}
    for step in steps:
        path = tmp_path / step.folder / file
        harm(path)
        recorder = build(tmp_path, steps)
        assert [e.step for e in recorder.of("damaged")] == [step.name]
        assert str(path) in recorder.of("damaged")[0].text
        assert recorder.ran == [step.name]
        assert {s.name: folder_hashes(tmp_path / s.folder) for s in steps} == whole


@pytest.mark.parametrize("harm", [flip, truncate, swap_for_folder])
def test_damaged_record_is_said_and_mended(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    steps = chain(a="one", b="two")
    build(tmp_path, steps)
    harm(tmp_path / ".hwflow/steps/a.json")
    recorder = build(tmp_path, steps)
    assert [e.step for e in recorder.of("damaged")] == ["a"]
    assert recorder.ran == ["a"]
    assert build(tmp_path, steps).ran == []


def test_deleted_folder_is_rebuilt(tmp_path: Path) -> None:
    steps = chain(a="one", b="two")
    build(tmp_path, steps)
    shutil.rmtree(tmp_path / "a")
    assert build(tmp_path, steps).ran == ["a"]


def test_redirected_link_is_damage(tmp_path: Path) -> None:
    def run(folder: Path, context: Context) -> None:
        (folder / "one").write_text("1")
        (folder / "two").write_text("2")
        (folder / "last").symlink_to("two")

    steps = [Step("a", "a", run)]
    build(tmp_path, steps)
    assert build(tmp_path, steps).ran == []
    (tmp_path / "a/last").unlink()
    (tmp_path / "a/last").symlink_to("one")
    assert build(tmp_path, steps).ran == ["a"]


def test_strange_files_are_moved_never_deleted(tmp_path: Path) -> None:
    steps = chain(a="one", b="two")
    build(tmp_path, steps)
    (tmp_path / "a/deep/notes.txt").write_text("my notes")
    recorder = build(tmp_path, steps)
    assert recorder.ran == []
    assert "a/deep/notes.txt" in recorder.of("kept")[0].text
    assert not (tmp_path / "a/deep/notes.txt").exists()
    assert [p.read_text() for p in tmp_path.glob("kept/*/a/deep/notes.txt")] == ["my notes"]
    (tmp_path / "b/more.txt").write_text("more notes")
    build(tmp_path, steps, force=True)
    assert [p.read_text() for p in tmp_path.glob("kept/*/b/more.txt")] == ["more notes"]


# ----------------------------------------------------------------------------- random DAGs


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, ...]]:
    """Which earlier steps each step reads."""
    count = draw(st.integers(1, 6))
    return [
        tuple(f"s{j}" for j in draw(st.sets(st.integers(0, i - 1), max_size=3)) if i > 0)
        if i > 0
        else ()
        for i in range(count)
    ]


CHANGES = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["setting", "damage", "delete", "record"])),
    max_size=3,
)


def outputs_of(graph: list[tuple[str, ...]], values: list[int]) -> list[str]:
    """What each step writes: only the parity of its own value shows."""
    written: dict[str, str] = {}
    for index, after in enumerate(graph):
        written[f"s{index}"] = f"{values[index] % 2}({','.join(written[a] for a in after)})"
    return list(written.values())


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(graph=graphs(), rounds=st.lists(CHANGES, min_size=1, max_size=3))
def test_step_reruns_iff_something_it_follows_from_changed(
    graph: list[tuple[str, ...]], rounds: list[list[tuple[int, str]]]
) -> None:
    def steps(values: list[int]) -> list[Step]:
        return [Step(f"s{i}", f"f{i}", run(i), value, graph[i]) for i, value in enumerate(values)]

    def run(index: int) -> Run:
        def write(folder: Path, context: Context) -> None:
            read = ",".join((place / "out").read_text() for place in context.folders.values())
            (folder / "out").write_text(f"{values[index] % 2}({read})")

        return write

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values = [0] * len(graph)
        assert len(build(folder, steps(values)).ran) == len(graph)
        for changes in rounds:
            before, old_values = outputs_of(graph, values), list(values)
            harmed = set()
            for index, change in changes:
                index %= len(graph)
                if change == "setting":
                    values[index] += 1
                    continue
                harmed.add(index)
                if change == "damage":
                    (folder / f"f{index}/out").write_text("?")
                elif change == "delete":
                    shutil.rmtree(folder / f"f{index}", ignore_errors=True)
                    (folder / f"f{index}").mkdir()
                else:
                    (folder / f".hwflow/steps/s{index}.json").write_text("{}")
            after = outputs_of(graph, values)
            expected = [
                f"s{i}"
                for i in range(len(graph))
                if i in harmed
                or values[i] != old_values[i]
                or any(before[int(a[1:])] != after[int(a[1:])] for a in graph[i])
            ]
            assert build(folder, steps(values)).ran == expected
            assert [(folder / f"f{i}/out").read_text() for i in range(len(graph))] == after


# ----------------------------------------------------------------------- a build that ends early


def ending(why: str) -> Run:
    return lambda folder, context: {"ends": why}


def test_nothing_is_done_after_a_step_that_ends_the_build(tmp_path: Path) -> None:
    steps = chain(a="1", b="2", c="3")
    ends = Step("b", "b", ending("no such layer"), settings="other", after=("a",))
    recorder = Recorder()
    records = Pipeline(tmp_path, [steps[0], ends, steps[2]]).execute(on_event=recorder)
    assert list(records) == ["a", "b"]
    assert recorder.ran == ["a", "b"]
    assert recorder.of("ended") == [Event("ended", "b", "no such layer")]
    again = build(tmp_path, [steps[0], ends, steps[2]])
    assert [event.kind for event in again.events] == ["cached", "cached", "ended"]


def test_what_later_steps_left_is_gone_when_a_build_ends_before_them(tmp_path: Path) -> None:
    steps = chain(a="1", b="2", c="3")
    build(tmp_path, steps)
    (tmp_path / "c" / "notes.txt").write_text("mine")
    ends = Step("b", "b", ending("no such layer"), settings="other", after=("a",))
    recorder = build(tmp_path, [steps[0], ends, steps[2]])
    assert [event.step for event in recorder.of("removed")] == ["c"]
    assert not (tmp_path / "c").exists()
    assert [path.read_text() for path in tmp_path.glob("kept/*/c/notes.txt")] == ["mine"]
    assert build(tmp_path, steps).ran == ["b", "c"]
