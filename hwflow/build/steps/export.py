"""The export of the trained network."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

from hwflow.build.causes import network_causes
from hwflow.build.request import Request
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.exported import ExportFacts

# Samples on which the trained network and its exports are compared.
AGREEMENT_SAMPLES = 256


def step(request: Request) -> Step:
    """The step."""
    return Step(
        "export",
        "export",
        partial(run, request),
        settings=[
            network_causes(request, len(request.recipe.stages)),
            request.recipe.why_export_ends,
        ],
        after=tuple(request.recipe.stage_names),
        base=request.base,
    )


def run(request: Request, folder: Path, context: Context) -> ExportFacts:
    """Write QONNX and QCDQ, and hold them against the trained network."""
    from hwflow.build.materials.network import trained
    from hwflow.build.materials.samples import dataset
    from hwflow.exchange.agreement import check_agreement
    from hwflow.exchange.export import export
    from hwflow.networks import following

    data = dataset(request)
    with following(context.follow):
        model = trained(request, data, len(request.recipe.stages))
    exported = export(model, data.shape, folder)
    inputs = data.floats(data.validation)[:AGREEMENT_SAMPLES]
    return ExportFacts(
        ends=request.recipe.why_export_ends,
        **asdict(check_agreement(model, exported, inputs)),
        qonnx_skipped=exported.qonnx_skipped,
        qcdq_skipped=exported.qcdq_skipped,
    )
