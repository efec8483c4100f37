"""The network of a build, as far as it is trained."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from hwflow import networks
from hwflow.build.request import Request, repetition_folder
from hwflow.compress import load_checkpoint, stage_of
from hwflow.data import Dataset


def untrained(request: Request, data: Dataset, repetition: int = 0) -> nn.Module:
    """The recipe's network.

    Args:
        request: of the build.
        data: its data set.
        repetition: 0: with the recipe's seed; others add to it.
    """
    recipe = request.recipe
    assert recipe.network is not None
    seed = recipe.seed + repetition
    return networks.build(recipe.network, data.shape, data.classes, seed, request.base)


def trained(request: Request, data: Dataset, stages: int, repetition: int = 0) -> nn.Module:
    """The network after the first `stages` stages, from their checkpoints."""
    recipe, folder = request.recipe, request.run_dir / Path(repetition_folder(repetition))
    model = untrained(request, data, repetition)
    for name, settings in list(zip(recipe.stage_names, recipe.stages, strict=True))[:stages]:
        model = load_checkpoint(folder / name, stage_of(settings), model, settings).model
    return model
