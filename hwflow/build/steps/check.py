"""The first step: what the build would be, found out before anything is trained."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hwflow.build.causes import folding_causes, model_causes, origin_causes, stage_causes
from hwflow.build.request import Request
from hwflow.engine.artifacts import write_whole
from hwflow.engine.pipeline import Context, Step


def step(request: Request) -> Step:
    """The step, which follows from the whole recipe and the board."""
    recipe = request.recipe
    files = [stage_causes(request, index) for index in range(len(recipe.stages))]
    files += [origin_causes(request), folding_causes(request)]
    if recipe.model is not None:
        files.append(model_causes(request))
    settings = [recipe.model_dump(mode="json"), request.board.model_dump(mode="json"), files]
    return Step("check", "check", partial(run, request), settings, base=request.base)


def run(request: Request, folder: Path, context: Context) -> None:
    """Take the untrained network all the way to folded hardware layers; leaves `check.json`.

    Raises:
        HwflowError: what a later step would fail of; names the layer, why, and what to do.
    """
    from hwflow.build.checking import check_fits, check_model_file, check_recipe
    from hwflow.build.materials.network import untrained
    from hwflow.build.materials.samples import dataset
    from hwflow.networks import following

    recipe, board = request.recipe, request.board
    if recipe.model is not None:
        check = check_model_file(recipe, board, request.base)
    else:
        data = dataset(request)
        with following(context.follow):
            model = untrained(request, data)
            scratch = context.scratch("export")
            check = check_recipe(recipe, board, data, model, request.base, scratch)
    check_fits(check, board)
    write_whole(folder / "check.json", check.model_dump_json(indent=1).encode())
