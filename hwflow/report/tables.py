"""Reports as tables of text: one line a run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from hwflow.report.schema import Report, Resources, Seeds

Column = tuple[str, Callable[[Report], object]]


def _resource(name: str) -> Callable[[Report], object]:
    def value(report: Report) -> object:
        used = used_resources(report)
        estimated = report.hardware is not None and report.hardware.resources.synthesis is None
        if used is None or (name == "ff" and estimated):  # Nothing estimates flip-flops.
            return ""
        return getattr(used, name)

    return value


def used_resources(report: Report) -> Resources | None:
    """Synthesised resources, else the estimate."""
    if report.hardware is None:
        return None
    return report.hardware.resources.synthesis or report.hardware.resources.estimate


def _measured(name: str) -> Callable[[Report], object]:
    def value(report: Report) -> object:
        figure = getattr(report.hardware, name, None)
        return "" if figure is None else figure

    return value


def accuracy(report: Report) -> float | None:
    """Test accuracy: of the accelerator if it was emulated, else after the last stage."""
    verification = report.verification
    if verification is not None and verification.emulator is not None:
        return verification.emulator.metric
    return report.stages[-1].metric.value if report.stages else None


def _accuracy(report: Report) -> object:
    share = accuracy(report)
    return "" if share is None else share


def verdict(report: Report) -> str:
    """A word about the build."""
    if report.problem:
        return "failed"
    if report.ended:
        return "ended after export"
    if report.verification is None:
        return "not verified"
    return "verified" if report.verification.passed else "mismatch"


COLUMNS: tuple[Column, ...] = (
    ("recipe", lambda r: r.recipe),
    ("board", lambda r: r.board),
    ("accuracy", _accuracy),
    ("weight_bits", lambda r: r.stages[-1].weight_bits if r.stages else ""),
    ("fps", _measured("fps")),
    ("cycles_per_frame", _measured("cycles_per_frame")),
    ("latency_cycles", _measured("latency_cycles")),
    ("lut", _resource("lut")),
    ("ff", _resource("ff")),
    ("dsp", _resource("dsp")),
    ("bram18", _resource("bram18")),
    ("verdict", verdict),
    ("seconds", lambda r: round(r.seconds, 1)),
)


def to_csv(reports: Sequence[Report]) -> str:
    """One line a run, comma separated, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for name, _ in COLUMNS])
    writer.writerows([value(report) for _, value in COLUMNS] for report in reports)
    return text.getvalue()


def to_markdown(reports: Sequence[Report]) -> str:
    """One line a run, as a Markdown table; one a stage that several seeds repeated, one a run in
    which the host has a part, and one a run that ended after its export, with the reason."""
    rows = [[_short(value(report)) for _, value in COLUMNS] for report in reports]
    text = _markdown_table([name for name, _ in COLUMNS], rows)
    repeated = [
        [report.recipe, stage.name, *_seeds(stage.seeds)]
        for report in reports
        for stage in report.stages
        if stage.seeds is not None
    ]
    if repeated:
        header = ["recipe", "stage", "mean accuracy", "95 % interval", "seeds"]
        text += "\n" + _markdown_table(header, repeated)
    hosts = [[report.recipe, _short(report.host)] for report in reports if report.host]
    if hosts:
        text += "\n" + _markdown_table(["recipe", "the host runs"], hosts)
    ended = [[report.recipe, _short(report.ended)] for report in reports if report.ended]
    if ended:
        text += "\n" + _markdown_table(["recipe", "ended after export, because"], ended)
    return text


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _seeds(seeds: Seeds) -> list[str]:
    """Mean, interval and values as text."""
    return [
        f"{seeds.mean:.4f}",
        f"{seeds.low:.4f} to {seeds.high:.4f}",
        ", ".join(f"{value:.4f}" for value in seeds.values),
    ]


def to_json(reports: Sequence[Report]) -> str:
    """The report, or a list of several."""
    if len(reports) == 1:
        return reports[0].json_text()
    return json.dumps([json.loads(r.json_text()) for r in reports], indent=1) + "\n"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")
