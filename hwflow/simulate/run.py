"""Runs frames through a compiled accelerator and reports what happened in it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.errors import HwflowError
from hwflow.processes import Finished, run_process
from hwflow.recipe import Stall
from hwflow.rtl import Stream, load_design
from hwflow.simulate.compile import compile_model
from hwflow.simulate.packing import Words, pack, unpack, words_per_beat

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class StreamStatistics:
    """Cycles of a stream: with a transfer; valid but not ready; ready but not valid."""

    transfers: int
    stalled: int
    starved: int


@dataclass(frozen=True)
class Waveform:
    """A waveform to record: its VCD file, the first cycle and how many."""

    file: Path
    first: int = 0
    cycles: int = 10_000


@dataclass(frozen=True)
class SimulationResult:
    """What a simulation measured.

    Attributes:
        outputs: integers of each output frame, (N, elements).
        latency_cycles: first input beat to last beat of the first output frame.
        cycles_per_frame: between the completion of output frames, over the second half of them,
            when the pipeline is full.
        total_cycles: from the end of reset to the last output beat.
        fifo_high_water: most words that each FIFO held.
        streams: statistics of each stream.
        captured: integers of each recorded stream, (N, elements) of whole frames; more than were
            put in where a layer begins a frame by itself, as padding does.
    """

    outputs: Codes
    latency_cycles: int
    cycles_per_frame: float
    total_cycles: int
    fifo_high_water: dict[str, int]
    streams: dict[str, StreamStatistics]
    captured: dict[str, Codes]


def _whole_frames(words: Words, stream: Stream) -> Words:
    frame = stream.beats * words_per_beat(stream)
    return words[: len(words) // frame * frame]


class Simulator:
    """A compiled accelerator.

    Args:
        rtl: RTL folder.
        cache: folder for compiled programs.
        gauge: put gauges in place of FIFOs, as deep as each run wants them.
        trace: be able to record waveforms.
        jobs: compiler processes at a time.
        optimise: compile for speed; else for a short compilation.
    """

    def __init__(
        self,
        rtl: Path,
        cache: Path,
        *,
        gauge: bool = False,
        trace: bool = False,
        jobs: int = 2,
        optimise: bool = True,
    ) -> None:
        self.rtl = rtl
        self.design = load_design(rtl)
        self.program = compile_model(
            rtl, cache, gauge=gauge, trace=trace, jobs=jobs, optimise=optimise
        )

    def run(
        self,
        frames: NDArray[np.integer],
        *,
        stall: Stall | None = None,
        seed: int = 0,
        interval: int = 0,
        capture: Sequence[str] = (),
        depths: Mapping[str, int] | None = None,
        waveform: Waveform | None = None,
    ) -> SimulationResult:
        """Stream frames through the accelerator.

        Args:
            frames: input integers, (N, elements a frame).
            stall: random stalls; default none.
            seed: of stalls and of what the RTL leaves undefined.
            interval: cycles over which each frame's beats are spread evenly; 0: as fast as
                they are taken.
            capture: names of streams whose transfers are recorded.
            depths: of gauges, by the FIFO's name; those that are not named have no bound.
            waveform: record a window of cycles; the simulator must have been made with `trace`.

        Raises:
            HwflowError: deadlock, a broken stream protocol, an assertion of the RTL, or more
                output than input accounts for; says where and in which cycle.
        """
        stall = stall or Stall()
        names = [s.name for s in self.design.streams]
        fifos = [node.name for node in self.design.nodes if node.fifo is not None]
        with tempfile.TemporaryDirectory(prefix="hwflow-sim-") as scratch:
            folder = Path(scratch)
            pack(frames, self.design.input).tofile(folder / "in")
            lines = [
                f"input {folder}/in",
                f"output {folder}/out",
                f"report {folder}/report",
                f"frames {len(frames)}",
                f"source {stall.source}",
                f"sink {stall.sink}",
                f"seed {seed}",
                f"interval {interval}",
                f"ahead {self._ahead()}",
                f"patience {2000 + 4 * self.design.bound_cycles}",
                *(f"capture {names.index(name)} {folder}/{name}" for name in capture),
                *(f"depth {fifos.index(name)} {words}" for name, words in (depths or {}).items()),
            ]
            if waveform is not None:
                lines.append(f"trace {waveform.file} {waveform.first} {waveform.cycles}")
            (folder / "config").write_text("\n".join(lines) + "\n")
            finished = run_process([self.program, folder / "config"], cwd=self.rtl)
            if finished.code:
                raise self._explain(finished)
            report = json.loads((folder / "report").read_text())
            outputs = unpack(np.fromfile(folder / "out", "<u4"), self.design.output)
            captured = {
                s.name: unpack(_whole_frames(np.fromfile(folder / s.name, "<u4"), s), s)
                for s in self.design.streams
                if s.name in capture
            }
        return self._result(report, outputs, captured)

    def _ahead(self) -> int:
        """Beats that may come out beyond the frames that went in: padding begins a frame itself."""
        early = any(node.begins_early for node in self.design.nodes)
        return self.design.output.beats if early else 0

    def _result(
        self, report: dict[str, Any], outputs: Codes, captured: dict[str, Codes]
    ) -> SimulationResult:
        finished = report["finished"]
        half = (len(finished) - 1) // 2
        steady = finished[half:]
        per_frame = (steady[-1] - steady[0]) / (len(steady) - 1) if len(steady) > 1 else 0.0
        return SimulationResult(
            outputs=outputs,
            latency_cycles=finished[0] - report["first_beat"] + 1,
            cycles_per_frame=per_frame,
            total_cycles=report["cycles"],
            fifo_high_water=report["fifos"],
            streams={name: StreamStatistics(*s) for name, s in report["streams"].items()},
            captured=captured,
        )

    # ----------------------------------------------------------------------- what went wrong

    def _explain(self, finished: Finished) -> HwflowError:
        match = re.search(r"^HWFLOW (\w+) (\S+) (\d+)$", finished.output, re.MULTILINE)
        if match is None:
            return HwflowError(
                f"the RTL simulation stopped:\n{finished.tail()}",
                hint="an assertion in the RTL failed; the message names the module instance",
            )
        kind, stream, cycle = match.groups()
        if kind == "PROTOCOL":
            return HwflowError(
                f"in cycle {cycle}, {self._where(stream)} withdrew or changed data that had not"
                " been taken",
                hint="its producer breaks the AXI-stream rule",
            )
        if kind == "EXCESS":
            return HwflowError(f"in cycle {cycle}, the accelerator put out more than its frames")
        return HwflowError(
            f"the RTL is deadlocked in cycle {cycle}: {self._deadlock(finished.output)}",
            hint="deepen the FIFO named full, or that on the other way to the layer that waits for"
            " data, or mend the layer that takes nothing",
        )

    def _where(self, name: str) -> str:
        stream = self._stream(name)
        return f"stream {name} ({stream.producer} -> {stream.consumer})"

    def _stream(self, name: str) -> Stream:
        return next(s for s in self.design.streams if s.name == name)

    def _deadlock(self, output: str) -> str:
        depths = {n.name: n.fifo.depth for n in self.design.nodes if n.fifo is not None}
        full = [
            f"{name} is full ({count} words)"
            for name, count in re.findall(r"^FIFO (\S+) (\d+)$", output, re.MULTILINE)
            if int(count) >= depths[name]
        ]
        states = re.findall(r"^STREAM (\S+) (\d) (\d) \d+$", output, re.MULTILINE)
        waiting = [s for s, valid, ready in states if valid == "1" and ready == "0"]
        # A layer that joins streams may take none until all are there.
        joining = {self._stream(s).consumer for s in waiting}
        starved = [
            s
            for s, valid, ready in states
            if valid == "0" and (ready == "1" or self._stream(s).consumer in joining)
        ]
        parts = [
            *full,
            *(["waiting to be taken: " + ", ".join(map(self._where, waiting))] if waiting else []),
            *(["waiting for data: " + ", ".join(map(self._where, starved))] if starved else []),
        ]
        return "; ".join(parts) or "no stream offers or takes anything"
