"""The report as the terminal shows it at the end of a build."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwflow.report.schema import Import, Report, RtlExecution


def summary(report: Report) -> RenderableType:
    """Accuracy by stage and seed, speed, resources against the board, verdicts."""
    parts: list[RenderableType] = [
        Text(f"{report.recipe} on {report.board_title} ({report.part})", style="bold"),
    ]
    if report.stages:
        note = "*estimated: the linear layers, folded for the recipe's frames a second"
        parts += [_stages(report), Text(note, "dim")]
    if report.imported is not None:
        parts.append(_imported(report.imported))
    parts += [
        Text.assemble((f"{s.kind:<11}", "dim"), left) for s in report.stages if (left := s.left)
    ]
    if any(stage.seeds for stage in report.stages):
        parts.append(_seeds(report))
    if report.host is not None:
        parts.append(Text.assemble(("host       ", "dim"), str(report.host)))
    if report.hardware is not None:
        parts += [_speed(report), _resources(report)]
    if report.verification is not None:
        parts.append(_verification(report))
    if report.bitstream is not None:
        parts.append(Text(f"bitstream: {report.bitstream}", style="dim"))
    if report.ended:
        parts.append(Text(f"ended      after export: {report.ended}", style="yellow"))
    if report.problem:
        parts.append(Text(report.problem, style="bold red"))
    return Group(*parts)


def _imported(imported: Import) -> Text:
    undecided = f", {imported.undecided} undecided" if imported.undecided else ""
    head = f"; its {imported.head} is left out" if imported.head else ""
    return Text.assemble(
        ("imported   ", "dim"),
        f"{imported.file} ({imported.format}){head}; differs from its own execution by"
        f" {imported.tool} by {imported.max_abs:.1g} at most in {imported.samples:,} samples"
        f"{undecided}",
        ("\ninput      ", "dim"),
        imported.input,
        ("\nverified on", "dim"),
        f" {imported.verified_on}",
    )


def _stages(report: Report) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    names = ["stage", "test accuracy", "parameters", "MACs", "Mbit ops", "weight kbit"]
    estimates = ["cycles*", "LUT*", "BRAM18*"]
    for name in [*names, *estimates, "time"]:
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in report.stages:
        estimate = stage.estimate
        guessed = [estimate.cycles, estimate.lut, estimate.bram18] if estimate else []
        table.add_row(
            stage.kind,
            f"{stage.metric.value:.2%}",
            f"{stage.params:,}",
            f"{stage.macs:,}",
            f"{stage.bops / 1e6:,.2f}",
            f"{stage.weight_bits / 1e3:,.1f}",
            *([f"{value:,}" for value in guessed] or [""] * len(estimates)),
            f"{stage.seconds:,.1f} s",
        )
    return table


def _seeds(report: Report) -> Text:
    """Mean, interval and values of each stage's repetitions."""
    text = Text()
    for stage in report.stages:
        if stage.seeds is not None:
            seeds = stage.seeds
            values = ", ".join(f"{value:.2%}" for value in seeds.values)
            text.append("seeds      " if not text else "\n           ", "dim")
            text.append(f"{stage.kind} ")
            text.append(f"{seeds.mean:.2%}", "bold")
            text.append(f", 95 % within {seeds.low:.2%} to {seeds.high:.2%} ({values})")
    return text


def _speed(report: Report) -> Text:
    hardware = report.hardware
    assert hardware is not None
    if hardware.fps is None:
        return Text("speed: not simulated", style="dim")
    return Text.assemble(
        ("speed      ", "dim"),
        (f"{hardware.fps:,.0f} frames/s", "bold"),
        f" at {hardware.clock_mhz:g} MHz: {hardware.cycles_per_frame:,.0f} cycles a frame (bound"
        f" {hardware.bound_cycles_per_frame:,} by layer {hardware.limiting_names}), latency"
        f" {hardware.latency_cycles:,} cycles",
    )


def _resources(report: Report) -> Text:
    hardware = report.hardware
    assert hardware is not None
    table = hardware.resources
    used = table.synthesis or table.estimate
    if used is None:
        return Text("resources: not synthesised", style="dim")
    text = Text.assemble(("resources  ", "dim"))
    for name, available in table.available.model_dump().items():
        count = getattr(used, name)
        if name == "ff" and table.synthesis is None:
            continue  # Nothing estimates them.
        if available or count:
            share = count / available if available else float("inf")
            style = "bold red" if share > 1 else "bold"
            text.append(f"{count:,} {name.upper()}", style)
            text.append(f" of {available:,} ({share:.0%})  ")
    text.append(f"[{table.tool or 'estimated'}, not Vivado]", "dim")
    return text


def _verification(report: Report) -> Text:
    verification = report.verification
    assert verification is not None
    text = Text.assemble(("verified   ", "dim"))
    if not verification.passed:
        text = Text("MISMATCH   ", style="bold red")
    software = verification.software
    value = f"{software.metric:.2%}" if software.metric is not None else f"in {software.samples:,}"
    text.append(f"software {value}")
    if report.hardware is not None and report.hardware.top_k > 1:
        text.append(f" (the first of {report.hardware.top_k} classes)")
    for name in ("emulator", "rtl", "netlist"):
        execution = getattr(verification, name)
        if getattr(execution, "skipped", None):
            text.append(f"; {name} not simulated: {execution.skipped}")
        elif execution is not None:
            samples = getattr(execution, "samples", None) or execution.frames
            style = "bold red" if execution.mismatches else "green"
            text.append(f"; {name} ")
            text.append(f"{execution.mismatches} mismatches", style)
            text.append(f" in {samples:,}")
            if isinstance(execution, RtlExecution):
                text.append(f" under {len(execution.stall_patterns)} stall patterns")
    return text
