"""The RTL, its FIFOs sized from simulation."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hwflow.build.causes import data_causes
from hwflow.build.request import Request
from hwflow.costs import clock_mhz
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.generated import RtlFacts


def step(request: Request) -> Step:
    """The step."""
    return Step(
        "rtl",
        "rtl",
        partial(run, request),
        settings=[
            request.recipe.hardware.model_dump(mode="json"),
            request.board.model_dump(mode="json"),
            data_causes(request),
        ],
        after=("dataflow", request.source),
    )


def run(request: Request, folder: Path, context: Context) -> RtlFacts:
    """Size FIFOs by simulation and write the RTL."""
    from qonnx.core.modelwrapper import ModelWrapper

    from hwflow.build.materials.samples import dataset
    from hwflow.dataflow.estimates import estimates
    from hwflow.dataflow.finn_setup import prepare_finn
    from hwflow.host import Software
    from hwflow.host.input_codes import accelerator_input
    from hwflow.rtl.generate import generate
    from hwflow.simulate.sizing import FRAMES, size_fifos

    prepare_finn()
    data, board = dataset(request), request.board
    clock = clock_mhz(request.recipe.hardware, board)
    model = ModelWrapper(str(context.folders["dataflow"] / "folded.onnx"))
    software = Software(context.folders["dataflow"])
    frames = accelerator_input(data, data.validation.part(0, FRAMES), software, model)
    context.note("simulating to size FIFOs")
    sized = size_fifos(model, frames, board.part, clock, context.cache / "simulate")
    generate(sized.model, folder, board.part, clock)
    sized.model.save(str(folder / "hardware.onnx"))
    return RtlFacts(
        depths=sized.depths,
        bound_cycles=sized.bound_cycles,
        cycles_per_frame=sized.cycles_per_frame,
        estimates=estimates(sized.model, board.part),
    )
