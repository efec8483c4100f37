"""The division of a network between accelerator and host, and the accelerator's lowering."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hwflow.build.causes import data_causes, folding_causes
from hwflow.build.request import Request
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.imported import ImportFacts
from hwflow.facts.lowered import HostFacts, LoweringFacts

if TYPE_CHECKING:
    import onnx

    from hwflow.data import Dataset
    from hwflow.host import Division, Software

# Samples on which a network that the host has a part in is compared with the whole of it.
DIVISION_SAMPLES = 64


def step(request: Request) -> Step:
    """The step."""
    return Step(
        "dataflow",
        "dataflow",
        partial(run, request),
        settings=[
            request.recipe.hardware.model_dump(mode="json"),
            request.board.model_dump(mode="json"),
            folding_causes(request),
            data_causes(request),
        ],
        after=(request.source,),
    )


def run(request: Request, folder: Path, context: Context) -> LoweringFacts:
    """Divide the network between hardware and host, lower and fold; hwflow's own export is
    taken as any other file."""
    import onnx

    from hwflow.build.materials.samples import dataset
    from hwflow.build.top_k import check_chosen, choosing
    from hwflow.dataflow.finn_setup import prepare_finn
    from hwflow.dataflow.lower import to_hardware
    from hwflow.exchange.importing.importer import normalised
    from hwflow.host import Software, divide
    from hwflow.host.input_codes import input_code

    prepare_finn()
    recipe, data = request.recipe, dataset(request)
    whole = onnx.load(str(context.folders[request.source] / "model.qonnx.onnx"))
    imported = recipe.model is not None
    top_k = context.read(request.source, ImportFacts).top_k if imported else None
    hardware = choosing(recipe.hardware, top_k)
    normal = None if imported else normalised(whole)
    division = divide(normal.model if normal else whole, input_code(data), hardware.top_k or 1)
    check_chosen(division, recipe.hardware)
    division.save(folder)
    host = _host(division, whole, normal.head if normal else None, Software(folder), data)
    lowered = to_hardware(
        division.graph,
        division.quantizers,
        hardware,
        request.board,
        base=request.base,
        keep=lambda chapter, model: model.save(str(folder / f"{chapter}.onnx")),
    )
    return LoweringFacts(
        quantizers=lowered.quantizers,
        bound_cycles=lowered.bound_cycles,
        top_k=(hardware.top_k or 1) if division.tail is None else 1,
        host=host,
    )


def _host(
    division: Division,
    whole: onnx.ModelProto,
    head: str | None,
    software: Software,
    data: Dataset,
) -> HostFacts | None:
    """What the host computes, once it is known that the divided network is the whole one."""
    from hwflow.host.agreement import check_division

    parts = division.facts()
    if division.is_simple:
        return None if parts is None else HostFacts.model_validate(parts)
    samples = data.validation.part(0, DIVISION_SAMPLES)
    agreement = check_division(whole, software, data, samples, head)
    return HostFacts.model_validate({"head": None, "tail": None, **(parts or {}), **agreement})
