"""The bitstream."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hwflow.bitstream import BitstreamBackend, backend_for
from hwflow.build.request import Request
from hwflow.costs import clock_mhz
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.bitstream import BitstreamFacts

NAME = "bitstream"


def steps(request: Request) -> list[Step]:
    """The step, where a back end that hwflow runs serves the board and its programs are there."""
    backend = backend_for(request.board)
    if backend is None:
        return []
    settings = [
        request.board.model_dump(mode="json"),
        clock_mhz(request.recipe.hardware, request.board),
        backend.name,
        [program.version() for program in backend.programs],
    ]
    return [Step(NAME, NAME, partial(run, request, backend), settings, after=("rtl",))]


def run(
    request: Request, backend: BitstreamBackend, folder: Path, context: Context
) -> BitstreamFacts:
    """Have the back end make the bitstream."""
    clock = clock_mhz(request.recipe.hardware, request.board)
    bitstream = backend.build(context.folders["rtl"], request.board, clock, folder, context.note)
    path = Path(NAME) / bitstream.path.relative_to(folder)
    return BitstreamFacts(path=path.as_posix(), tool=bitstream.tool, fmax_mhz=bitstream.fmax_mhz)
