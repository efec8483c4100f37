"""From the facts that a build's steps left to its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

import hwflow
from hwflow.bitstream import why_skipped
from hwflow.board import Board
from hwflow.costs import LayerShape, Target, recipe_target, total_estimate
from hwflow.costs.layers import FLOAT_BITS
from hwflow.engine.pipeline import ENDS
from hwflow.engine.records import StepRecord
from hwflow.kernels import KERNELS
from hwflow.recipe import Prune, Recipe
from hwflow.recipe.network import network_name
from hwflow.recipe.optimization import Optimization
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
    Verification,
)
from hwflow.rtl import Design, Port

OWN_KERNELS = {kernel.op: f"hwflow {kernel.name}" for kernel in KERNELS}


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
    facts = {name: record.facts for name, record in records.items()}
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
        ended=next((found[ENDS] for found in facts.values() if found.get(ENDS)), None),
        imported=Import(**facts["import"]) if "import" in facts else None,
        exchange=_exchange(facts["export"]) if "export" in facts else None,
        host=_host(facts.get("dataflow", {}).get("host")),
        hardware=_hardware(recipe, board, facts, design) if design is not None else None,
        verification=_verification(facts) if "sim" in facts else None,
        bitstream=Bitstream(skipped=why_skipped(board)) if design is not None else None,
        steps=[
            StepTime(name=name, seconds=record.seconds, cached=record.cached)
            for name, record in records.items()
        ],
    )


def _network(recipe: Recipe) -> str:
    if recipe.model is not None:
        return PurePosixPath(recipe.model.qonnx).name
    assert recipe.network is not None
    return network_name(recipe.network)


def _inputs(recipe: Recipe) -> str:
    """What a model without a data set is verified on."""
    assert recipe.model is not None
    if recipe.model.inputs is not None:
        return PurePosixPath(recipe.model.inputs).name
    return "random inputs"


def _exchange(facts: Mapping[str, Any]) -> Exchange:
    return Exchange(**{name: value for name, value in facts.items() if name != ENDS})


def _host(facts: Mapping[str, Any] | None) -> Host | None:
    return None if facts is None else Host(**facts)


def _stages(recipe: Recipe, board: Board, records: Mapping[str, StepRecord]) -> list[Stage]:
    stages = []
    target = recipe_target(recipe, board)
    for name, settings in zip(recipe.stage_names, recipe.stages, strict=True):
        if name in records:
            facts = records[name].facts
            stages.append(
                Stage(
                    name=name,
                    kind=settings.kind,
                    metric=Metric(value=facts["test_accuracy"]),
                    seconds=records[name].seconds,
                    estimate=_stage_estimate(facts["layers"], target),
                    density=facts.get("density"),
                    kept=_kept(settings, facts),
                    seeds=_seeds(name, records),
                    teachers=facts.get("teachers", []),
                    **{key: facts[key] for key in ("params", "macs", "bops", "weight_bits")},
                )
            )
    return stages


def _kept(settings: Optimization, facts: Mapping[str, Any]) -> Kept | None:
    if not isinstance(settings, Prune) or settings.budget is None:
        return None
    share = facts.get(f"{settings.budget.of}_kept")
    if share is None:
        return None
    return Kept(of=settings.budget.of, share=share, budget=settings.budget.keep)


def _stage_estimate(layers: list[dict[str, Any]], target: Target) -> StageEstimate:
    shapes = [LayerShape(**layer) for layer in layers]
    # Of a quantized network, float layers are the host's.
    quantized = [shape for shape in shapes if shape.weight_bits < FLOAT_BITS]
    return StageEstimate(**asdict(total_estimate(quantized or shapes, target)))


def _seeds(stage: str, records: Mapping[str, StepRecord]) -> Seeds | None:
    """What the repetitions of a stage gave, as far as they are done."""
    places = [PurePosixPath(record.folder) for record in records.values()]
    values = [
        record.facts["test_accuracy"]
        for place, record in zip(places, records.values(), strict=True)
        if place.name == stage and place.parts[0] in (stage, "seeds")
    ]
    return seeds(values) if len(values) > 1 else None


def _hardware(
    recipe: Recipe, board: Board, facts: Mapping[str, dict[str, Any]], design: Design
) -> Hardware:
    rtl, synth = facts["rtl"], facts.get("synth")
    performance = facts.get("sim", {}).get("performance", {})
    clock = recipe.hardware.clock_mhz or board.clock_mhz
    cycles = performance.get("cycles_per_frame")
    nodes = synth["nodes"] if synth else {}
    estimates = {name: Resources(**found) for name, found in rtl["estimates"].items()}
    # Of layers that are equally slow, a linear one: it is what costs most to make faster.
    limiting = max(design.nodes, key=lambda node: (node.cycles, "MVAU" in node.op))
    high_water = performance.get("fifo_high_water", {})
    return Hardware(
        clock_mhz=clock,
        cycles_per_frame=cycles,
        latency_cycles=performance.get("latency_cycles"),
        fps=clock * 1e6 / cycles if cycles else None,
        bound_cycles_per_frame=design.bound_cycles,
        limiting_layer=limiting.name,
        input=_numbers(design.input, "code"),
        output=_numbers(design.output, "integer" if _has_tail(facts) else "label"),
        top_k=facts["dataflow"].get("top_k", 1),
        layers=[
            Layer(
                name=node.name,
                path=node.path,
                op=node.op,
                kernel=OWN_KERNELS.get(node.op, "FINN+ rtllib"),
                pe=node.pe,
                simd=node.simd,
                cycles=node.cycles,
                estimate=estimates.get(node.name),
                **nodes.get(node.name, {}),
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
            estimate=_sum(rtl["estimates"].values()),
            synthesis=_sum(nodes.values()) if synth else None,
            available=Resources(**board.resources.model_dump()),
            tool=synth["tool"] if synth else None,
        ),
    )


def _has_tail(facts: Mapping[str, dict[str, Any]]) -> bool:
    return bool((facts["dataflow"].get("host") or {}).get("tail"))


def _sum(parts: Any) -> Resources:
    parts = list(parts)
    return Resources(
        **{name: sum(part.get(name, 0) for part in parts) for name in Resources.model_fields}
    )


def _numbers(port: Port, what: str) -> str:
    kind = "binary" if port.bipolar else "signed" if port.signed else "unsigned"
    count = port.beats * port.elements
    return (
        f"{count} {kind} {port.element_bits}-bit {what}{'s' if count != 1 else ''} a frame,"
        f" {port.elements} in each of {port.beats} transfer{'s' if port.beats != 1 else ''}"
    )


def _execution(facts: Mapping[str, Any]) -> Execution:
    difference = facts.get("difference")
    return Execution(
        samples=facts["samples"],
        metric=facts["accuracy"],
        mismatches=facts["mismatches"],
        difference=Difference(**difference) if difference else None,
    )


def _verification(facts: Mapping[str, dict[str, Any]]) -> Verification:
    sim = facts["sim"]
    return Verification(
        software=_execution(sim["software"]),
        emulator=_execution(sim["emulator"]),
        rtl=_rtl(sim["rtl"]) if sim.get("rtl") else None,
        netlist=Netlist(**facts["netlist"]) if "netlist" in facts else None,
    )


def _rtl(patterns: list[dict[str, Any]]) -> RtlExecution:
    worst = max(patterns, key=lambda pattern: pattern["mismatches"])
    return RtlExecution(
        **_execution(worst).model_dump(),
        cycles=sum(pattern["cycles"] for pattern in patterns),
        stall_patterns=[
            StallPattern(
                **pattern["stall"],
                frames=pattern["samples"],
                **{k: pattern[k] for k in ("mismatches", "cycles", "cycles_per_frame")},
            )
            for pattern in patterns
        ],
    )
