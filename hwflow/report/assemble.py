"""From the facts that a build's steps left to its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import TypeVar

from pydantic import BaseModel

import hwflow
from hwflow.bitstream import why_skipped
from hwflow.board import Board
from hwflow.costs import LayerShape, Target, clock_mhz, recipe_target, total_estimate
from hwflow.costs.layers import FLOAT_BITS
from hwflow.engine.pipeline import ENDS
from hwflow.engine.records import StepRecord
from hwflow.facts import resources, verified
from hwflow.facts.bitstream import BitstreamFacts
from hwflow.facts.exported import ExportFacts
from hwflow.facts.generated import RtlFacts
from hwflow.facts.imported import ImportFacts
from hwflow.facts.lowered import LoweringFacts
from hwflow.facts.stage import StageFacts
from hwflow.facts.synthesised import SynthesisFacts
from hwflow.facts.verified import NetlistFacts, VerificationFacts
from hwflow.recipe import Recipe, StageSettings
from hwflow.report.intervals import seeds
from hwflow.report.schema import (
    Bitstream,
    Difference,
    Exchange,
    Execution,
    Fifo,
    Hardware,
    Host,
    Import,
    Kept,
    Layer,
    Metric,
    Netlist,
    Report,
    Resources,
    ResourceTable,
    RtlExecution,
    Seeds,
    Stage,
    StageEstimate,
    StallPattern,
    StepTime,
    Teacher,
    Verification,
)
from hwflow.rtl import Design, Port

Facts = TypeVar("Facts", bound=BaseModel)
Part = TypeVar("Part", bound=BaseModel)


def assemble(
    recipe: Recipe,
    board: Board,
    records: Mapping[str, StepRecord],
    design: Design | None,
    *,
    started: str,
    problem: str | None = None,
) -> Report:
    """The report of a build.

    Args:
        recipe, board: what was built.
        records: finished steps.
        design: the RTL's description, if it got that far.
        started: date and time.
        problem: what it failed of.
    """
    facts = _Facts(records)
    lowering = facts.of("dataflow", LoweringFacts)
    return Report(
        recipe=recipe.name,
        board=board.name,
        board_title=board.title,
        part=board.part,
        hwflow_version=hwflow.__version__,
        started=started,
        seconds=sum(record.seconds for record in records.values()),
        network=_network(recipe),
        data=recipe.data.name if recipe.data is not None else _inputs(recipe),
        problem=problem,
        stages=_stages(recipe, board, records),
        ended=next((r.facts[ENDS] for r in records.values() if r.facts.get(ENDS)), None),
        imported=_like(Import, facts.of("import", ImportFacts)),
        exchange=_like(Exchange, facts.of("export", ExportFacts), without=ENDS),
        host=_like(Host, lowering.host if lowering else None),
        hardware=_hardware(recipe, board, facts, design) if design is not None else None,
        verification=_verification(facts),
        bitstream=_bitstream(board, facts) if design is not None else None,
        steps=[
            StepTime(name=name, seconds=record.seconds, cached=record.cached)
            for name, record in records.items()
        ],
    )


class _Facts:
    """What the finished steps left, by their names."""

    def __init__(self, records: Mapping[str, StepRecord]) -> None:
        self.records = records

    def of(self, step: str, facts: type[Facts]) -> Facts | None:
        """What a step left; None: it has not finished."""
        return self.records[step].read(facts) if step in self.records else None


def _like(part: type[Part], facts: BaseModel | None, without: str = "") -> Part | None:
    """A part of the report that says just what a step left."""
    return None if facts is None else part(**facts.model_dump(exclude={without}))


def _bitstream(board: Board, facts: _Facts) -> Bitstream:
    bitstream = _like(Bitstream, facts.of("bitstream", BitstreamFacts))
    return bitstream or Bitstream(skipped=why_skipped(board))


def _network(recipe: Recipe) -> str:
    if recipe.model is not None:
        return PurePosixPath(recipe.model.qonnx).name
    assert recipe.network is not None
    return recipe.network.called


def _inputs(recipe: Recipe) -> str:
    """What a model without a data set is verified on."""
    assert recipe.model is not None
    if recipe.model.inputs is not None:
        return PurePosixPath(recipe.model.inputs).name
    return "random inputs"


def _stages(recipe: Recipe, board: Board, records: Mapping[str, StepRecord]) -> list[Stage]:
    stages = []
    target = recipe_target(recipe, board)
    for name, settings in zip(recipe.stage_names, recipe.stages, strict=True):
        if name in records:
            facts = records[name].read(StageFacts)
            stages.append(
                Stage(
                    name=name,
                    kind=settings.kind,
                    metric=Metric(value=facts.test_accuracy),
                    seconds=records[name].seconds,
                    estimate=_stage_estimate(facts.layers, target),
                    density=facts.metrics.get("density"),
                    kept=_kept(settings, facts.metrics),
                    seeds=_seeds(name, records),
                    teachers=[Teacher(**teacher.model_dump()) for teacher in facts.teachers],
                    params=facts.params,
                    macs=facts.macs,
                    bops=facts.bops,
                    weight_bits=facts.weight_bits,
                )
            )
    return stages


def _kept(settings: StageSettings, metrics: Mapping[str, float]) -> Kept | None:
    if settings.hardware_budget is None:
        return None
    of, budget = settings.hardware_budget
    share = metrics.get(f"{of}_kept")
    return None if share is None else Kept(of=of, share=share, budget=budget)


def _stage_estimate(shapes: Sequence[LayerShape], target: Target) -> StageEstimate:
    # Of a quantized network, float layers are the host's.
    quantized = [shape for shape in shapes if shape.weight_bits < FLOAT_BITS]
    return StageEstimate(**asdict(total_estimate(quantized or shapes, target)))


def _seeds(stage: str, records: Mapping[str, StepRecord]) -> Seeds | None:
    """What the repetitions of a stage gave, as far as they are done."""
    folders = [PurePosixPath(record.folder) for record in records.values()]
    values = [
        record.read(StageFacts).test_accuracy
        for folder, record in zip(folders, records.values(), strict=True)
        if folder.name == stage and folder.parts[0] in (stage, "seeds")
    ]
    return seeds(values) if len(values) > 1 else None


def _hardware(recipe: Recipe, board: Board, facts: _Facts, design: Design) -> Hardware:
    rtl, synthesis = facts.of("rtl", RtlFacts), facts.of("synth", SynthesisFacts)
    lowering, verification = facts.of("dataflow", LoweringFacts), facts.of("sim", VerificationFacts)
    assert rtl is not None
    assert lowering is not None
    performance = verification.performance if verification else None
    clock = clock_mhz(recipe.hardware, board)
    cycles = performance.cycles_per_frame if performance else None
    nodes = synthesis.nodes if synthesis else {}
    # Of layers that are equally slow, a linear one: it is what costs most to make faster.
    limiting = max(design.nodes, key=lambda node: (node.cycles, "MVAU" in node.op))
    high_water = performance.fifo_high_water if performance else {}
    has_tail = lowering.host is not None and lowering.host.tail is not None
    return Hardware(
        clock_mhz=clock,
        cycles_per_frame=cycles,
        latency_cycles=performance.latency_cycles if performance else None,
        fps=clock * 1e6 / cycles if cycles else None,
        bound_cycles_per_frame=design.bound_cycles,
        limiting_layer=limiting.name,
        input=_numbers(design.input, "code"),
        output=_numbers(design.output, "integer" if has_tail else "label"),
        top_k=lowering.top_k,
        layers=[
            Layer(
                name=node.name,
                path=node.path,
                op=node.op,
                kernel=node.kernel,
                role=node.role,
                pe=node.pe,
                simd=node.simd,
                cycles=node.cycles,
                estimate=_like(Resources, rtl.estimates.get(node.name)),
                **(nodes[node.name].model_dump() if node.name in nodes else {}),
            )
            for node in design.nodes
        ],
        fifos=[
            Fifo(
                name=node.name,
                depth=node.fifo.depth,
                width=node.fifo.width,
                high_water=high_water.get(node.name, 0),
            )
            for node in design.nodes
            if node.fifo is not None
        ],
        resources=ResourceTable(
            estimate=_sum(rtl.estimates.values()),
            synthesis=_sum(nodes.values()) if synthesis else None,
            available=Resources(**board.resources.model_dump()),
            tool=synthesis.tool if synthesis else None,
        ),
    )


def _sum(parts: Iterable[resources.Resources]) -> Resources:
    parts = list(parts)
    return Resources(
        **{name: sum(getattr(p, name) for p in parts) for name in Resources.model_fields}
    )


def _numbers(port: Port, what: str) -> str:
    kind = "binary" if port.bipolar else "signed" if port.signed else "unsigned"
    count = port.beats * port.elements
    return (
        f"{count} {kind} {port.element_bits}-bit {what}{'s' if count != 1 else ''} a frame,"
        f" {port.elements} in each of {port.beats} transfer{'s' if port.beats != 1 else ''}"
    )


def _execution(execution: verified.Execution) -> Execution:
    difference = execution.difference
    return Execution(
        samples=execution.samples,
        metric=execution.accuracy,
        mismatches=execution.mismatches,
        difference=Difference(**difference.model_dump()) if difference else None,
    )


def _verification(facts: _Facts) -> Verification | None:
    verification = facts.of("sim", VerificationFacts)
    if verification is None:
        return None
    return Verification(
        software=_execution(verification.software),
        emulator=_execution(verification.emulator),
        rtl=_rtl(verification.rtl) if verification.rtl else None,
        netlist=_like(Netlist, facts.of("netlist", NetlistFacts)),
    )


def _rtl(patterns: Sequence[verified.RtlExecution]) -> RtlExecution:
    worst = max(patterns, key=lambda pattern: pattern.mismatches)
    return RtlExecution(
        **_execution(worst).model_dump(),
        cycles=sum(pattern.cycles for pattern in patterns),
        stall_patterns=[
            StallPattern(
                **pattern.stall.model_dump(),
                frames=pattern.samples,
                mismatches=pattern.mismatches,
                cycles=pattern.cycles,
                cycles_per_frame=pattern.cycles_per_frame,
            )
            for pattern in patterns
        ],
    )
