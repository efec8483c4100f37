"""A build from beginning to report, and verification of one that is there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hwflow.build.plan import plan
from hwflow.build.request import Request, load_request, save_request
from hwflow.engine.artifacts import write_whole
from hwflow.engine.logs import log_to
from hwflow.engine.pipeline import ENDS, Event, Pipeline
from hwflow.engine.records import StepRecord, load_record
from hwflow.engine.run_directory import OWN, claim
from hwflow.errors import HwflowError, RequestError, ToolError
from hwflow.facts.lowered import LoweringFacts
from hwflow.facts.synthesised import SynthesisFacts
from hwflow.facts.verified import NetlistFacts, VerificationFacts
from hwflow.report import Report, load_report, save_report, to_html
from hwflow.report.assemble import assemble
from hwflow.rtl import load_design

if TYPE_CHECKING:
    from hwflow.simulate import Waveform

Listener = Callable[[Event], None]


def run_build(
    request: Request,
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
    with claim(request.run_dir, request.title), log_to(request.run_dir):
        save_request(request)
        problem: HwflowError | None = None
        try:
            pipeline = Pipeline(request.run_dir, plan(request), title=request.title)
            records = pipeline.execute(until, force, on_event)
            problem = _verdict(request, records)
        except HwflowError as error:
            records, problem = finished_steps(request), error
        return _conclude(request, records, started, problem)


def _conclude(
    request: Request,
    records: Mapping[str, StepRecord],
    started: str,
    problem: HwflowError | None,
) -> Report:
    """Write the report, and raise the problem if there is one."""
    report = assemble(
        request.recipe,
        request.board,
        records,
        load_design(request.run_dir / "rtl") if "rtl" in records else None,
        started=started,
        problem=None if problem is None else problem.message,
    )
    with contextlib.suppress(OSError):  # The build's own error, a full disk, is what counts.
        save_report(report, request.run_dir)
        write_whole(request.run_dir / "report.html", to_html([report]).encode())
    if problem is not None:
        raise problem
    return report


def finished_steps(request: Request) -> dict[str, StepRecord]:
    """Records of the steps that are done, in order, up to the first that is not."""
    records: dict[str, StepRecord] = {}
    for step in plan(request):
        try:
            record = load_record(request.run_dir / OWN / "steps" / f"{step.name}.json")
        except ValueError:
            break
        if record is None:
            break
        records[step.name] = record
    return records


def _verdict(request: Request, records: Mapping[str, StepRecord]) -> HwflowError | None:
    """What the finished steps found wrong, if anything."""
    if "synth" in records:
        from hwflow.synth.capacity import check_capacity

        synthesis = records["synth"].read(SynthesisFacts)
        try:
            check_capacity(synthesis.nodes, request.board, synthesis.tool)
        except HwflowError as error:
            return error
    mismatches = _mismatches(records)
    if not mismatches:
        return None
    return HwflowError(
        f"verification failed: {'; '.join(mismatches)}",
        hint=f"this is a defect of hwflow or of FINN+; {request.run_dir} reproduces it",
    )


def _mismatches(records: Mapping[str, StepRecord]) -> list[str]:
    failures = records["sim"].read(VerificationFacts).failures() if "sim" in records else []
    wrong = records["netlist"].read(NetlistFacts).mismatches if "netlist" in records else 0
    if wrong:
        failures.append(f"the netlist differs from the RTL in {wrong} frames")
    return failures


# ---------------------------------------------------------------------------- verifying a run


def verify_run(
    run_dir: Path,
    *,
    samples: int | Literal["all"] | None = None,
    on: Literal["emulator", "rtl"] = "rtl",
    waveform: Waveform | None = None,
    on_event: Listener = lambda event: None,
) -> Report:
    """Verify a finished build again, on as many frames as asked, and update its report, which
    keeps what was verified on more.

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
    request = load_request(run_dir)
    records = finished_steps(request)
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
    with claim(run_dir, request.title), log_to(run_dir):
        problem: HwflowError | None = None
        before = records.pop("sim", None)
        try:
            facts = _verify(
                request,
                records["dataflow"].read(LoweringFacts).quantizers,
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
            took, extent = time.monotonic() - begin, facts.extent
            if before is not None:
                facts = facts.grown(before.read(VerificationFacts))
            records["sim"] = StepRecord("sim", "sim", facts.model_dump(mode="json"), took, {}, {})
            problem = _verdict(request, records)
            on_event(Event("finished", "verify", extent, took))
        return _conclude(request, records, started, problem)


def _verify(
    request: Request,
    quantizers: dict[str, str],
    samples: int | Literal["all"] | None,
    on: Literal["emulator", "rtl"],
    waveform: Waveform | None,
    note: Callable[[str], None],
) -> VerificationFacts:
    from hwflow.build.materials.samples import dataset
    from hwflow.host import Software
    from hwflow.simulate import Simulator
    from hwflow.verify.accelerator import verify
    from hwflow.verify.waveform import record

    rtl, software = request.run_dir / "rtl", Software(request.run_dir / "dataflow")
    cache = request.run_dir / OWN / "cache" / "simulate"
    settings, data = request.recipe.verify, dataset(request)
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
        seed=request.recipe.seed,
        note=note,
    )
