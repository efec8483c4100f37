"""The verification: software, emulator and RTL."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hwflow.build.causes import origin_causes
from hwflow.build.request import Request
from hwflow.engine.artifacts import write_whole
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.lowered import LoweringFacts
from hwflow.facts.verified import VerificationFacts


def step(request: Request) -> Step:
    """The step."""
    recipe = request.recipe
    return Step(
        "sim",
        "sim",
        partial(run, request),
        settings=[recipe.verify.model_dump(mode="json"), recipe.seed, origin_causes(request)],
        after=(request.source, "dataflow", "rtl"),
    )


def run(request: Request, folder: Path, context: Context) -> VerificationFacts:
    """Compare software, emulator and RTL."""
    from hwflow.build.materials.samples import dataset
    from hwflow.host import Software
    from hwflow.simulate import Simulator
    from hwflow.verify.accelerator import verify

    rtl = context.folders["rtl"]
    facts = verify(
        dataset(request),
        software=Software(context.folders["dataflow"]),
        rtl=rtl,
        quantizers=context.read("dataflow", LoweringFacts).quantizers,
        simulator=Simulator(rtl, context.cache / "simulate"),
        settings=request.recipe.verify,
        seed=request.recipe.seed,
        note=context.note,
    )
    write_whole(folder / "verification.json", facts.model_dump_json(indent=1).encode())
    return facts
