"""report.html: one file that needs nothing else, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hwflow.report.schema import Report, Seeds
from hwflow.report.tables import accuracy, used_resources, verdict

RESOURCE_NAMES = {
    "lut": "LUT",
    "ff": "Flip-flops",
    "dsp": "DSP",
    "bram18": "BRAM18",
    "uram": "UltraRAM",
}


def to_html(reports: Sequence[Report]) -> str:
    """The page of one run, or of several compared."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=_count, percent=_percent, seconds=_seconds)
    template = environment.get_template("report.html.j2")
    return template.render(
        reports=reports,
        comparison=_comparison(reports) if len(reports) > 1 else None,
        views=[_view(report) for report in reports],
    )


def _count(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() or value >= 100 else f"{value:,.2f}"


def _percent(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.2f} %"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.1f} min"


def _view(report: Report) -> dict[str, Any]:
    """What the page shows of a report, beyond its own fields."""
    view: dict[str, Any] = {
        "verdict": verdict(report),
        "accuracy": accuracy(report),
        "scale": _accuracy_scale(report),
        "resources": [],
        "layers": [],
        "steps": [],
    }
    view["stages"] = [(stage, _band(stage.seeds, view["scale"])) for stage in report.stages]
    slowest = max((step.seconds for step in report.steps), default=0) or 1
    view["steps"] = [(step, 100 * step.seconds / slowest) for step in report.steps]
    hardware = report.hardware
    if hardware is None:
        return view
    bound = max(hardware.bound_cycles_per_frame, 1)
    view["layers"] = [
        {
            "layer": layer,
            "width": min(100.0, 100 * layer.cycles / bound),
            "limits": layer.name == hardware.limiting_layer,
            "kind": layer.role,
        }
        for layer in hardware.layers
    ]
    table = hardware.resources
    for key, name in RESOURCE_NAMES.items():
        available = getattr(table.available, key)
        used = getattr(table.synthesis, key) if table.synthesis else None
        estimate = getattr(table.estimate, key) if table.estimate else None
        if available or used:
            view["resources"].append(
                {
                    "name": name,
                    "available": available,
                    "used": used,
                    "estimate": estimate if key != "ff" else None,
                    "share": _share(used, available),
                    "estimate_share": _share(estimate, available),
                }
            )
    return view


def _share(used: int | None, available: int) -> float:
    if used is None:
        return 0.0
    return 100 * used / available if available else (100.0 if used else 0.0)


def _accuracy_scale(report: Report) -> tuple[float, float]:
    """Ends of the accuracy axis: round numbers around the stages' values."""
    values = [stage.metric.value for stage in report.stages] or [0.0, 1.0]
    values += [max(0.0, stage.seeds.low) for stage in report.stages if stage.seeds is not None]
    low = max(0.0, int(20 * (min(values) - 0.05)) / 20)
    return low, 1.0


def _band(seeds: Seeds | None, scale: tuple[float, float]) -> tuple[float, float] | None:
    """Left end and width, in % of the accuracy axis, of an interval."""
    if seeds is None:
        return None
    low, high = (min(max(value, scale[0]), scale[1]) for value in (seeds.low, seeds.high))
    length = scale[1] - scale[0]
    return 100 * (low - scale[0]) / length, 100 * (high - low) / length


def _comparison(reports: Sequence[Report]) -> dict[str, Any]:
    """Points of accuracy against LUTs, in a 100 x 100 box."""
    points = [
        (number, used.lut, value)
        for number, report in enumerate(reports, 1)
        if (used := used_resources(report)) is not None and (value := accuracy(report)) is not None
    ]
    most = max((lut for _, lut, _ in points), default=1) or 1
    values = [value for _, _, value in points] or [0.0]
    low, high = max(0.0, min(values) - 0.01), min(1.0, max(values) + 0.01)
    return {
        "points": [
            {
                "number": number,
                "x": 95 * lut / most,
                "y": 100 - 100 * (value - low) / (high - low),
            }
            for number, lut, value in points
        ],
        "most": most / 0.95,
        "low": low,
        "high": high,
    }
