"""What the terminal shows of a check."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwflow.build.checking import Check, CheckedLayer, HostPart

# Choices of a parallelism that are written out; of more the ends are.
LISTED = 6
_LABELS = {"before": "host first", "behind": "host last"}


def table(check: Check) -> RenderableType:
    """The layers, their totals against the board, and what goes to the host."""
    parts: list[RenderableType] = [Text(f"{check.recipe} for {check.board}", style="bold")]
    parts += [Text.assemble(("assumed    ", "dim"), said) for said in check.assumptions]
    parts += [_host(part) for part in check.host if part.place == "before"]
    if check.layers:
        parts.append(_layers(check))
    parts += [_host(part) for part in check.host if part.place == "behind"]
    if check.ends is not None:
        parts.append(Text(f"ends       no accelerator: {check.ends}", style="yellow"))
        return Group(*parts)
    slowest = max(check.layers, key=lambda layer: layer.cycles)
    parts.append(
        Text.assemble(
            ("speed      ", "dim"),
            (f"at most {check.frames_per_second:,.0f} frames/s", "bold"),
            f" at {check.clock_mhz:g} MHz: {check.bound_cycles:,} cycles a frame ({slowest.name})",
        )
    )
    parts.append(_resources(check))
    return Group(*parts)


def _layers(check: Check) -> Table:
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("layer", "RTL", "kernel"):
        shown.add_column(name)
    for name in ("PE", "of", "SIMD", "of", "cycles", "LUT*", "DSP*", "BRAM18*", "URAM*"):
        shown.add_column(name, justify="left" if name == "of" else "right")
    for layer in check.layers:
        shown.add_row(
            layer.name,
            layer.rtl,
            layer.kernel,
            *_folding(layer, "pe"),
            *_folding(layer, "simd"),
            f"{layer.cycles:,}",
            *(f"{count:,}" for count in layer.estimates.model_dump().values()),
        )
    return shown


def _folding(layer: CheckedLayer, key: str) -> tuple[str, str]:
    """What is chosen, and what can be."""
    if key not in layer.folding:
        return "", ""
    choices = [str(choice) for choice in layer.choices[key]]
    if len(choices) > LISTED:
        choices = [*choices[: LISTED - 2], "...", choices[-1]]
    return str(layer.folding[key]), " ".join(choices)


def _host(part: HostPart) -> Text:
    operations = ", ".join(f"{name} ({kind})" for name, kind in part.operations)
    text = f"{operations}: {part.reason}"
    return Text.assemble((f"{_LABELS[part.place]:<11}", "dim"), text)


def _resources(check: Check) -> Text:
    text = Text.assemble(("resources* ", "dim"))
    assert check.estimates is not None
    available = check.available.model_dump()
    for key, count in check.estimates.model_dump().items():
        if count or available[key]:
            share = count / available[key] if available[key] else float("inf")
            text.append(f"{count:,} {key.upper()}", "bold red" if share > 1 else "bold")
            text.append(f" of {available[key]:,} ({share:.0%})  ")
    text.append(f"[{check.included}]", "dim")
    return text
