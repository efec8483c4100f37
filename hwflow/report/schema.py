"""report.json: everything that a build measured. The schema is stable; fields are only added."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwflow.engine.artifacts import write_whole
from hwflow.errors import RequestError

FILE = "report.json"
# Operations of the host that a line of text names.
NAMED = 8


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Metric(_Part):
    """A measured quality of a network, in [0, 1] for accuracy."""

    name: str = "accuracy"
    value: float
    split: str = "test"


class Seeds(_Part):
    """A stage's metric from several seeds: each value, the recipe's own seed first, their mean,
    and its 95 % confidence interval."""

    values: list[float]
    mean: float
    low: float
    high: float


class Teacher(_Part):
    """A network that a stage learned from."""

    teacher: str
    validation_accuracy: float
    test_accuracy: float


class StageEstimate(_Part):
    """What a network's linear layers would take, folded for the recipe's frames a second."""

    cycles: int
    lut: int
    dsp: int
    bram18: int


class Kept(_Part):
    """What a stage left of a cost that it had a budget of, and that budget; shares of before."""

    of: str
    share: float
    budget: float


class Stage(_Part):
    """A compression stage and the network that it left.

    Attributes:
        density: after pruning, the share of the weights before it that is left and not zero.
    """

    name: str
    kind: str
    metric: Metric
    params: int
    macs: int
    bops: int
    weight_bits: int
    seconds: float
    estimate: StageEstimate | None = None
    density: float | None = None
    kept: Kept | None = None
    seeds: Seeds | None = None
    teachers: list[Teacher] = Field(default_factory=list)

    @property
    def left(self) -> str | None:
        """In words, what pruning left."""
        if self.density is None:
            return None
        words = f"{self.density:.1%} of the weights left and not zero"
        if self.kept is None:
            return words
        return f"{words}; {self.kept.share:.1%} of {self.kept.of} (budget {self.kept.budget:.1%})"


class Resources(_Part):
    """FPGA resources."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram18: int = 0
    uram: int = 0


class Layer(Resources):
    """A layer, converter or FIFO of the accelerator; resources are synthesised ones.

    Attributes:
        name: of its RTL module.
        path: in the user's network; reports of before there were paths have none.
        role: what it computes: linear, activation, label or plumbing.
    """

    name: str
    path: str = ""
    op: str
    kernel: str
    role: str = "plumbing"
    pe: int
    simd: int
    cycles: int
    estimate: Resources | None = None


class Fifo(_Part):
    """A FIFO: capacity asked for, most words that it held in simulation, bits of a word."""

    name: str
    depth: int
    high_water: int
    width: int


class ResourceTable(_Part):
    """The layers' estimates, the synthesised design, and what the board has."""

    estimate: Resources | None
    synthesis: Resources | None
    available: Resources
    tool: str | None


class Hardware(_Part):
    """The accelerator, as measured in RTL simulation; `top_k` classes come out of it a frame."""

    clock_mhz: float
    cycles_per_frame: float | None = None
    latency_cycles: int | None = None
    fps: float | None = None
    bound_cycles_per_frame: int
    limiting_layer: str
    input: str
    output: str
    top_k: int = 1
    layers: list[Layer]
    fifos: list[Fifo] = Field(default_factory=list)
    resources: ResourceTable

    @property
    def limiting_names(self) -> str:
        """The slowest layer's name in the user's network, and that of its RTL module."""
        paths = {layer.name: layer.path for layer in self.layers}
        path = paths.get(self.limiting_layer) or self.limiting_layer
        return path if path == self.limiting_layer else f"{path}, {self.limiting_layer}"


class Difference(_Part):
    """Where an execution parts from the one before it."""

    layer: str
    sample: int
    expected: list[int]
    got: list[int]


class Execution(_Part):
    """An execution of the network on test samples; no metric where those have no labels."""

    samples: int
    metric: float | None
    mismatches: int = 0
    difference: Difference | None = None


class StallPattern(_Part):
    """The RTL under one pattern of random stalls (chances in %)."""

    source: int
    sink: int
    frames: int
    mismatches: int
    cycles: int
    cycles_per_frame: float


class RtlExecution(Execution):
    """The RTL: all patterns together."""

    cycles: int
    stall_patterns: list[StallPattern]


class Netlist(_Part):
    """The synthesised netlist against the RTL, cycle by cycle; or why it was not simulated."""

    frames: int = 0
    cycles: int = 0
    mismatches: int = 0
    skipped: str | None = None


class Verification(_Part):
    """Whether all executions agree."""

    software: Execution
    emulator: Execution | None = None
    rtl: RtlExecution | None = None
    netlist: Netlist | None = None
    board: Execution | None = None

    @property
    def passed(self) -> bool:
        """No mismatch anywhere."""
        return not any(
            e is not None and e.mismatches for e in (self.emulator, self.rtl, self.netlist)
        )


class Exchange(_Part):
    """How far the exported files agree with the trained network (logits), or why there is none;
    `reference_max_abs` is of the float64 reference, where that knows all operations."""

    samples: int
    undecided: int
    qonnx_max_abs: float | None
    qonnx_skipped: str | None = None
    qcdq_max_abs: float | None
    qcdq_skipped: str | None
    reference_max_abs: float | None


class Import(_Part):
    """A model file that was built, and how far it, in the form that hardware is made from, agrees
    with the file's own execution, by `tool`; `verified_on` says on what that and all later
    comparisons are done, `head` what the file does behind its logits, which hardware does not,
    and `top_k` how many classes it puts out in order, if it puts out classes."""

    file: str
    format: str
    head: str | None
    top_k: int | None = None
    input: str
    verified_on: str
    tool: str
    samples: int
    undecided: int
    max_abs: float


class HostOperation(_Part):
    """An operation of the network that the host computes: its name in the QONNX file, its type."""

    name: str
    op: str


class HostPart(_Part):
    """What the host computes at one end of the network: an ONNX file in the run directory."""

    file: str
    operations: list[HostOperation]


class Host(_Part):
    """What could not be lowered, or need not be, and is left to the host: the head in front of the
    accelerator, the tail behind it; and, where that is more than to quantize the input, how far
    the divided network agrees with the whole one (logits, `undecided` samples left out)."""

    head: HostPart | None
    tail: HostPart | None
    samples: int | None = None
    undecided: int | None = None
    max_abs: float | None = None

    def __str__(self) -> str:
        parts = [("before the accelerator", self.head), ("behind it", self.tail)]
        return "; ".join(
            f"{Path(part.file).name} {where}: {_operations(part)}"
            for where, part in parts
            if part is not None
        )


def _operations(part: HostPart) -> str:
    """The operations in words: those of a name that says what they are by that alone."""
    words = [
        o.name if o.name.lower().startswith(o.op.lower()) else f"{o.op} {o.name}".strip()
        for o in part.operations
    ]
    more = [f"and {len(words) - NAMED} more"] if len(words) > NAMED else []
    return ", ".join([*words[:NAMED], *more]) or "scales of the logits"


class Bitstream(_Part):
    """A bitstream, or why there is none."""

    path: str | None = None
    tool: str | None = None
    fmax_mhz: float | None = None
    skipped: str | None = None

    def __str__(self) -> str:
        if self.path is None:
            return f"none; {self.skipped}"
        return f"{self.path}, good for {self.fmax_mhz:g} MHz [{self.tool}]"


class StepTime(_Part):
    """Seconds that a step of the build took when it last ran."""

    name: str
    seconds: float
    cached: bool


class Report(_Part):
    """A build's report.

    Attributes:
        started: date and time of the last `hwflow build`.
        seconds: that the steps took, each when it last ran.
        problem: what the build failed of.
        ended: why it is complete without an accelerator.
    """

    schema_: Literal[1] = Field(1, alias="schema")
    recipe: str
    board: str
    board_title: str
    part: str
    hwflow_version: str
    started: str
    seconds: float
    network: str
    data: str
    problem: str | None = None
    ended: str | None = None
    stages: list[Stage]
    imported: Import | None = None
    exchange: Exchange | None = None
    host: Host | None = None
    hardware: Hardware | None = None
    verification: Verification | None = None
    bitstream: Bitstream | None = None
    steps: list[StepTime] = Field(default_factory=list)

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    def json_text(self) -> str:
        """The text of report.json."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


def save_report(report: Report, run: Path) -> Path:
    """Write a report into a run directory, whole or not at all."""
    write_whole(run / FILE, report.json_text().encode())
    return run / FILE


def load_report(run: Path) -> Report:
    """Read the report of a run directory.

    Raises:
        RequestError: there is none, it is damaged, or another version of hwflow wrote it.
    """
    path = run / FILE if run.is_dir() else run
    try:
        return Report.model_validate_json(path.read_text())
    except FileNotFoundError as error:
        raise RequestError(
            f"{run} has no report", hint="give a run directory, such as runs/digits-mlp-pynq-z2"
        ) from error
    except (OSError, ValueError, ValidationError) as error:
        raise RequestError(
            f"{path} is no report that this version of hwflow can read: {str(error)[:200]}",
            hint="build again, or use the version that wrote it",
        ) from error
