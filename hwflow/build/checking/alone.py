"""The check by itself, without a run directory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hwflow.board import Board
from hwflow.build.checking.check import check_model_file, check_recipe
from hwflow.build.checking.outcome import Check
from hwflow.engine.logs import log_to
from hwflow.recipe import Recipe


def check_alone(recipe: Recipe, board: Board, base: Path) -> Check:
    """Check a recipe, or a model file, from its data and its network on.

    Args:
        recipe: with stages, or with `model`.
        board: to build for.
        base: folder that paths in the recipe are relative to.

    Raises:
        HwflowError: see `check_recipe` and `check_model_file`; also where data or network can't be
            had.
    """
    with tempfile.TemporaryDirectory(prefix="hwflow-check-") as scratch, log_to(Path(scratch)):
        if recipe.model is not None:
            return check_model_file(recipe, board, base)
        from hwflow import networks
        from hwflow.data import load

        assert recipe.data is not None
        assert recipe.network is not None
        data = load(recipe.data, recipe.seed, base)
        model = networks.build(recipe.network, data.shape, data.classes, recipe.seed, base)
        return check_recipe(recipe, board, data, model, base, Path(scratch))
