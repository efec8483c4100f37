"""An untrained network on its way through the stages of a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwflow.board import Board
from hwflow.errors import within
from hwflow.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from hwflow.compress import Untrained
    from hwflow.data import Dataset


def pass_stages(
    recipe: Recipe, board: Board, data: Dataset, model: nn.Module, base: Path
) -> Untrained:
    """Check each stage against the network that it would be given, and change that as the stage
    would, without training.

    Args:
        recipe: its stages are passed.
        board: gives costs to budgets in hardware.
        data: the data set, of which few samples are looked at.
        model: the recipe's network, not trained; left as it is.
        base: folder that paths in the recipe are relative to.

    Returns:
        The network behind the last stage; assumptions begin with the name of their stage.

    Raises:
        HwflowError: a stage can't take the network, or a teacher can't be had; names the stage.
    """
    import torch

    from hwflow.compress import Untrained, stage_of
    from hwflow.compress.distillation import check_teachers
    from hwflow.costs import recipe_target
    from hwflow.networks.libraries import Sequence as TokenSequence

    if isinstance(model, TokenSequence):
        for split in (data.train, data.validation, data.test):
            model.check_samples(torch.from_numpy(data.floats(split)))
    named = list(zip(recipe.stage_names, recipe.stages, strict=True))
    target, passed = recipe_target(recipe, board), Untrained(model)
    for name, settings in named:
        stage = stage_of(settings)
        with within(name):
            stage.check(passed.model, settings, data.shape)
            after = stage.expected(passed, settings, data, target)
        own = after.assumptions[len(passed.assumptions) :]
        told = tuple(f"{name}: {words}" for words in own)
        passed = replace(after, assumptions=(*passed.assumptions, *told))
    check_teachers(named, model, data, base)
    return passed
