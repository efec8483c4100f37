"""What the terminal shows of a build while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hwflow.engine.pipeline import Event

_MARKS = {
    "pending": ("·", "dim"),
    "cached": ("✓", "dim green"),
    "finished": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "interrupted": ("■", "yellow"),
}


_BAR = 20  # columns


class Progress:
    """Shows the steps of a build: live on a terminal, else a line for each thing that happens.

    Use as a context manager and give it to `Pipeline.execute` as `on_event`. Make it before
    `logs.log_to` takes the terminal away.

    Args:
        steps: names of the steps, in order.
        stream: where to show it; default: standard error.
    """

    def __init__(self, steps: Sequence[str], stream: TextIO | None = None) -> None:
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._rows = {name: _Row(name) for name in steps}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._table,
                console=self._console,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if event.kind in {"damaged", "kept", "removed"}:
            self._say(event)
        elif event.kind == "ended":
            self._rows = {n: row for n, row in self._rows.items() if row.state != "pending"}
            self._say(event)
        else:
            self._rows.setdefault(event.step, _Row(event.step)).update(event)
            if self._live is None and event.kind != "note":
                self._say(event)

    def _say(self, event: Event) -> None:
        took = "" if event.seconds is None else f" ({duration(event.seconds)})"
        # Why a step failed is said by whoever catches the error.
        text = f": {event.text}" if event.text and event.kind != "failed" else ""
        style = "yellow" if event.kind in {"damaged", "kept", "interrupted", "ended"} else ""
        self._console.print(
            Text(f"{event.step} {event.kind}{took}{text}", style=style), soft_wrap=True
        )

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(width=_BAR)
        table.add_column(style="dim", no_wrap=True, overflow="ellipsis", ratio=1)
        for row in self._rows.values():
            table.add_row(*row.cells())
        return table


class _Row:
    """A step as it is shown."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "pending"
        self.note = ""
        self.fraction: float | None = None
        self.started = 0.0
        self.seconds: float | None = None
        self._spinner = Spinner("dots", style="cyan")

    def update(self, event: Event) -> None:
        if event.kind == "note":
            self.note, self.fraction = event.text, event.fraction
            return
        if event.kind == "started":
            self.started = time.monotonic()
        self.state, self.seconds = event.kind, event.seconds
        self.note = "cached" if event.kind == "cached" else event.text * (event.kind == "finished")

    def cells(self) -> tuple[RenderableType, ...]:
        if self.state == "started":
            elapsed = duration(time.monotonic() - self.started)
            bar: RenderableType = ""
            if self.fraction is not None:
                bar = ProgressBar(total=1.0, completed=self.fraction, width=_BAR)
            return self._spinner, Text(self.name, style="bold"), elapsed, bar, Text(self.note)
        mark, style = _MARKS[self.state]
        took = "" if self.seconds is None or self.state == "cached" else duration(self.seconds)
        return Text(mark, style=style), Text(self.name, style=style), took, "", Text(self.note)


def duration(seconds: float) -> str:
    """Seconds as people write them: 0.4 s, 12.3 s, 2 min 05 s."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
