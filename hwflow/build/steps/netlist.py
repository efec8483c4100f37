"""The simulation of the synthesised netlist."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hwflow.build.causes import data_causes
from hwflow.build.request import Request
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.verified import NetlistFacts

# Frames of which RTL and netlist are compared, cycle by cycle.
FRAMES = 20


def step(request: Request) -> Step:
    """The step."""
    return Step(
        "netlist",
        "netlist",
        partial(run, request),
        settings=[
            request.board.model_dump(mode="json"),
            request.recipe.seed,
            data_causes(request),
        ],
        after=(request.source, "dataflow", "rtl", "synth"),
    )


def run(request: Request, folder: Path, context: Context) -> NetlistFacts:
    """Compare the synthesised netlist with the RTL."""
    from qonnx.core.modelwrapper import ModelWrapper

    from hwflow.build.materials.samples import dataset
    from hwflow.host import Software
    from hwflow.host.input_codes import accelerator_input
    from hwflow.simulate import Simulator
    from hwflow.synth.netlist import why_not_simulated, write_netlist
    from hwflow.verify.netlist import compare_netlist

    board = request.board
    rtl, cache = context.folders["rtl"], context.cache / "simulate"
    reason = why_not_simulated(rtl, board, context.cache / "synth")
    if reason is not None:
        return NetlistFacts(skipped=reason)
    write_netlist(rtl, folder, board, context.cache / "synth")
    data = dataset(request)
    software = Software(context.folders["dataflow"])
    model = ModelWrapper(str(rtl / "hardware.onnx"))
    codes = accelerator_input(data, data.test.part(0, FRAMES), software, model)
    context.note("compiling the netlist's simulation")
    netlist = Simulator(folder, cache, optimise=False)
    return compare_netlist(Simulator(rtl, cache), netlist, codes, request.recipe.seed)
