"""A build from beginning to report, and verification of one that is there."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hwflow.board import load_board
from hwflow.build.request import Build
from hwflow.engine.artifacts import write_whole
from hwflow.engine.logs import log_to
from hwflow.engine.pipeline import ENDS, Event
from hwflow.engine.records import StepRecord, load_record
from hwflow.engine.run_directory import OWN, claim
from hwflow.errors import HwflowError, RequestError, ToolError
from hwflow.recipe.loading import load_recipe, resolved_yaml
from hwflow.report import Report, load_report, save_report, to_html
from hwflow.report.assemble import assemble
from hwflow.rtl import load_design

if TYPE_CHECKING:
    from hwflow.simulate import Waveform

REQUEST = "request.json"
Listener = Callable[[Event], None]


def prepare(
    recipe: str,
    board: str,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    inputs: Path | None = None,
) -> Build:
    """Check everything that a build asks for, before any work.

    Args:
        recipe: name or path of a recipe, or path of a model file (.onnx).
        board: name or path.
        out: run directory; default `runs/<recipe>-<board>`.
        overrides: `key=value` settings.
        inputs: file of inputs to verify a model on, instead of the recipe's.

    Raises:
        RequestError: what is wrong with the request.
    """
    if inputs is not None:
        overrides = [*overrides, f"model.inputs={json.dumps(str(inputs.resolve()))}"]
    loaded, found = load_recipe(recipe, overrides), load_board(board)
    place = out or Path("runs") / f"{loaded.recipe.name}-{found.name}"
    return Build(loaded, found, place)


def run_build(
    build: Build,
    *,
    until: str | None = None,
    force: bool = False,
    on_event: Listener = lambda event: None,
) -> Report:
    """Build, and write the report whatever comes of it.

    Raises:
        HwflowError: a step failed, the design does not fit, or executions differ; the report
            says so too.
        KeyboardInterrupt: interrupted; the same build goes on where it stopped.
    """
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    with claim(build.run_dir, build.title), log_to(build.run_dir):
        _write_request(build)
        problem: HwflowError | None = None
        try:
            records = build.run(until=until, force=force, on_event=on_event)
            problem = _verdict(build, records)
        except HwflowError as error:
            records, problem = finished_steps(build), error
        return _conclude(build, records, started, problem)


def _conclude(
    build: Build, records: Mapping[str, StepRecord], started: str, problem: HwflowError | None
) -> Report:
    """Write the report, and raise the problem if there is one."""
    report = assemble(
        build.recipe,
        build.board,
        records,
        load_design(build.run_dir / "rtl") if "rtl" in records else None,
        started=started,
        problem=None if problem is None else problem.message,
    )
    write_report(report, build.run_dir)
    if problem is not None:
        raise problem
    return report


def write_report(report: Report, run_dir: Path) -> None:
    """Write report.json and report.html."""
    with contextlib.suppress(OSError):  # The build's own error, a full disk, is what counts.
        save_report(report, run_dir)
        write_whole(run_dir / "report.html", to_html([report]).encode())


def _write_request(build: Build) -> None:
    """Leave what was asked for, so that the run can be verified again by itself."""
    request = {
        "recipe": build.recipe.model_dump(mode="json"),
        "board": build.board.model_dump(mode="json"),
        "base": str(build.loaded.base),
    }
    write_whole(build.run_dir / "recipe.yaml", resolved_yaml(build.recipe).encode())
    write_whole(build.run_dir / OWN / REQUEST, json.dumps(request).encode())


def finished_steps(build: Build) -> dict[str, StepRecord]:
    """Records of the steps that are done, in order, up to the first that is not."""
    records: dict[str, StepRecord] = {}
    for step in build.steps():
        try:
            record = load_record(build.run_dir / OWN / "steps" / f"{step.name}.json")
        except ValueError:
            break
        if record is None:
            break
        records[step.name] = record
    return records


def _verdict(build: Build, records: dict[str, StepRecord]) -> HwflowError | None:
    """What the finished steps found wrong, if anything."""
    if "synth" in records:
        from hwflow.synth.capacity import check_capacity

        facts = records["synth"].facts
        try:
            check_capacity(facts["nodes"], build.board, facts["tool"])
        except HwflowError as error:
            return error
    found = _mismatches(records)
    if not found:
        return None
    return HwflowError(
        f"verification failed: {'; '.join(found)}",
        hint=f"this is a defect of hwflow or of FINN+; {build.run_dir} reproduces it",
    )


def _mismatches(records: dict[str, StepRecord]) -> list[str]:
    found = []
    if "sim" in records:
        from hwflow.report.verdicts import failures

        found += failures(records["sim"].facts)
    wrong = records["netlist"].facts.get("mismatches", 0) if "netlist" in records else 0
    if wrong:
        found.append(f"the netlist differs from the RTL in {wrong} frames")
    return found


# ---------------------------------------------------------------------------- verifying a run


def verify_run(
    run_dir: Path,
    *,
    samples: int | Literal["all"] | None = None,
    on: Literal["emulator", "rtl"] = "rtl",
    waveform: Waveform | None = None,
    on_event: Listener = lambda event: None,
) -> Report:
    """Verify a finished build again, on as many frames as asked, and update its report.

    Args:
        run_dir: the run directory.
        samples: test frames for the RTL; default: the recipe's.
        on: how far to go; `emulator` leaves the RTL out.
        waveform: recorded in a simulation of its own.
        on_event: told how far it is.

    Raises:
        RequestError: no finished build there.
        HwflowError: executions differ, or the RTL stops.
    """
    build = reopen(run_dir)
    records = finished_steps(build)
    ended = next((r.facts[ENDS] for r in records.values() if r.facts.get(ENDS)), None)
    if ended is not None:
        raise RequestError(
            f"{run_dir} holds no accelerator: its build ended after export, because {ended}",
            hint="the report says how far the exported files agree with the trained network",
        )
    if "rtl" not in records:
        raise RequestError(f"{run_dir} holds no finished RTL", hint="build it first")
    begin, started = time.monotonic(), load_report(run_dir).started
    on_event(Event("started", "verify"))
    with claim(run_dir, build.title), log_to(run_dir):
        problem: HwflowError | None = None
        before = records.pop("sim", None)
        try:
            facts = _verify(
                build,
                records["dataflow"].facts["quantizers"],
                samples,
                on,
                waveform,
                lambda text: on_event(Event("note", "verify", text)),
            )
        except (RequestError, ToolError):  # Nothing was found out about the accelerator.
            raise
        except HwflowError as error:
            problem = error
        else:
            took = time.monotonic() - begin
            known = before.facts if before is not None else {}
            records["sim"] = StepRecord("sim", "sim", {**known, **facts}, took, {}, {})
            problem = _verdict(build, records)
            on_event(Event("finished", "verify", seconds=took))
        return _conclude(build, records, started, problem)


def _verify(
    build: Build,
    quantizers: dict[str, str],
    samples: int | Literal["all"] | None,
    on: Literal["emulator", "rtl"],
    waveform: Waveform | None,
    note: Callable[[str], None],
) -> dict[str, Any]:
    from hwflow.host import Software
    from hwflow.simulate import Simulator
    from hwflow.verify.executions import record, verify

    rtl, software = build.run_dir / "rtl", Software(build.run_dir / "dataflow")
    cache = build.run_dir / OWN / "cache" / "simulate"
    settings, data = build.recipe.verify, build.data()
    if samples is not None:
        settings = settings.model_copy(update={"rtl_frames": samples})
    if waveform is not None:
        note("recording the waveform")
        record(Simulator(rtl, cache, trace=True), data, software, rtl, waveform)
    return verify(
        data,
        software=software,
        rtl=rtl,
        quantizers=quantizers,
        simulator=Simulator(rtl, cache) if on == "rtl" else None,
        settings=settings,
        seed=build.recipe.seed,
        note=note,
    )


def reopen(run_dir: Path) -> Build:
    """The build that a run directory is of.

    Raises:
        RequestError: it is none.
    """
    from hwflow.board import Board
    from hwflow.recipe import Recipe
    from hwflow.recipe.loading import LoadedRecipe

    try:
        request = json.loads((run_dir / OWN / REQUEST).read_text())
        recipe = Recipe.model_validate(request["recipe"])
        board = Board.model_validate(request["board"])
    except (OSError, ValueError, KeyError) as error:
        raise RequestError(
            f"{run_dir} is no run directory", hint="give one that `hwflow build` made"
        ) from error
    return Build(LoadedRecipe(recipe, Path(request["base"])), board, run_dir)
