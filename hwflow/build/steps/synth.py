"""The synthesis."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hwflow.build.request import Request
from hwflow.engine.artifacts import write_whole
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.generated import RtlFacts
from hwflow.facts.resources import Resources
from hwflow.facts.synthesised import SynthesisFacts


def step(request: Request) -> Step:
    """The step."""
    settings = request.board.model_dump(mode="json")
    return Step("synth", "synth", partial(run, request), settings, after=("rtl",))


def run(request: Request, folder: Path, context: Context) -> SynthesisFacts:
    """Synthesise, node by node."""
    from hwflow.synth import synthesize, tool
    from hwflow.synth.capacity import check_estimates

    board = request.board
    check_estimates(context.read("rtl", RtlFacts).estimates, board, "estimates")
    nodes = synthesize(
        context.folders["rtl"],
        board,
        context.cache / "synth",
        logs=folder,
        note=context.note,
    )
    facts = SynthesisFacts(
        nodes={name: Resources(**resources) for name, resources in nodes.items()},
        tool=tool(board.family),
    )
    write_whole(folder / "resources.json", facts.model_dump_json(indent=1).encode())
    return facts
