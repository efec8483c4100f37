"""The steps of a build, in order."""

from __future__ import annotations

from hwflow.build.request import Request
from hwflow.build.steps import (
    bitstream,
    check,
    dataflow,
    export,
    model,
    netlist,
    rtl,
    sim,
    stage,
    synth,
)
from hwflow.engine.pipeline import Step


def plan(request: Request) -> list[Step]:
    """The steps of a build, in order."""
    recipe = request.recipe
    steps = [check.step(request)]
    steps += [step for n in range(recipe.seeds) for step in stage.steps(request, n)]
    if recipe.model is not None:
        steps.append(model.step(request))
    elif recipe.is_exported:
        steps.append(export.step(request))
    else:
        return steps
    steps += [dataflow.step(request), rtl.step(request)]
    if recipe.hardware.synthesis:
        steps.append(synth.step(request))
    steps.append(sim.step(request))
    if recipe.hardware.synthesis and recipe.verify.netlist:
        steps.append(netlist.step(request))
    return steps + bitstream.steps(request)
