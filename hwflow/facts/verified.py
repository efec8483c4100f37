"""The comparison of all executions."""

from __future__ import annotations

from hwflow.facts import Facts
from hwflow.recipe.hardware import Stall


class Difference(Facts):
    """Where two executions part first: the layer, the sample and some values of both."""

    layer: str
    sample: int
    expected: tuple[int, ...]
    got: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"first in layer {self.layer}, sample {self.sample}: expected {list(self.expected)},"
            f" got {list(self.got)}"
        )


class Execution(Facts):
    """One execution against the one before it; no accuracy where samples have no labels."""

    samples: int
    accuracy: float | None
    mismatches: int = 0
    difference: Difference | None = None


class RtlExecution(Execution):
    """The RTL under one stall pattern; cycles are of all frames together."""

    stall: Stall
    cycles: int
    cycles_per_frame: float


class StreamFacts(Facts):
    """Cycles of a stream: with a transfer; valid but not ready; ready but not valid."""

    transfers: int
    stalled: int
    starved: int


class Performance(Facts):
    """What the RTL did without stalls.

    Attributes:
        latency_cycles: first input beat to last beat of the first output frame.
        cycles_per_frame: with the pipeline full.
        bound_cycles: of the slowest node.
        fifo_high_water: most words that each FIFO held.
        streams: of each stream.
    """

    latency_cycles: int
    cycles_per_frame: float
    bound_cycles: int
    fifo_high_water: dict[str, int]
    streams: dict[str, StreamFacts]


class VerificationFacts(Facts):
    """Software, emulator, and the RTL under each stall pattern; without RTL where it was left
    out."""

    software: Execution
    emulator: Execution
    rtl: tuple[RtlExecution, ...] = ()
    performance: Performance | None = None

    @property
    def extent(self) -> str:
        """On how much executions were compared, in words."""
        words = f"emulator on {self.emulator.samples:,} samples"
        if self.rtl:
            frames = f"{self.rtl[0].samples:,} frames under {len(self.rtl)} stall patterns"
            words += f", RTL on {frames}"
        return words

    def grown(self, earlier: VerificationFacts) -> VerificationFacts:
        """These facts, or, where nothing differs in them, earlier ones of the same accelerator that
        are of more samples."""
        if self.failures():
            return self
        most = {
            name: max(getattr(earlier, name), getattr(self, name), key=lambda e: e.samples)
            for name in ("software", "emulator")
        }
        if _samples(earlier.rtl) > _samples(self.rtl):
            most |= {"rtl": earlier.rtl, "performance": earlier.performance}
        return self.model_copy(update=most)

    def failures(self) -> list[str]:
        """For each execution that parts from the one before it, how many samples differ, and the
        first layer, sample and values."""
        executions: list[tuple[str, Execution]] = [("the emulator", self.emulator)]
        executions += [
            (f"the RTL, stalled {e.stall.source} % in and {e.stall.sink} % out,", e)
            for e in self.rtl
        ]
        return [
            f"{name} differs in {e.mismatches} of {e.samples} samples, {e.difference}"
            for name, e in executions
            if e.mismatches
        ]


def _samples(executions: tuple[RtlExecution, ...]) -> int:
    return sum(execution.samples for execution in executions)


class NetlistFacts(Facts):
    """The synthesised netlist against the RTL, cycle by cycle; or why it was not simulated."""

    frames: int = 0
    cycles: int = 0
    mismatches: int = 0
    skipped: str | None = None
