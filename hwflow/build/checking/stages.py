"""An untrained network on its way through the stages of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.board import Board
from hwflow.errors import within
from hwflow.recipe import Decompose, Prune, Quantize, Recipe
from hwflow.recipe.prune import RANKING

if TYPE_CHECKING:
    from torch import nn

    from hwflow.data import Dataset


ALL_KEPT = "all units are kept: thresholds decide in training"
PRUNED = "as many units are pruned as its budget says, evenly over the layers"
NOTHING_PRUNED = "nothing is pruned"
DECOMPOSED = "every layer that can be is decomposed, by ranks that are given or else the least"


@dataclass(frozen=True)
class Passed:
    """A network behind the stages that change its structure.

    Attributes:
        model: quantized where the recipe has a stage for it, with finite scales; untrained.
        quantize: settings of that stage; None: there is none.
        assumptions: what is not known before training, and what was taken for it.
    """

    model: nn.Module
    quantize: Quantize | None
    assumptions: tuple[str, ...]

    @property
    def may_shrink(self) -> bool:
        """Whether training decides how much of the network is left."""
        return any(said.endswith((ALL_KEPT, NOTHING_PRUNED)) for said in self.assumptions)


def pass_stages(
    recipe: Recipe, board: Board, data: Dataset, model: nn.Module, base: Path
) -> Passed:
    """Check each stage against the network that it would be given, and change that as the stage
    would, without training.

    Args:
        recipe: its stages are passed.
        board: gives costs to budgets in hardware.
        data: the data set, of which few samples are looked at.
        model: the recipe's network, not trained; left as it is.
        base: folder that paths in the recipe are relative to.

    Raises:
        HwflowError: a stage can't take the network, or a teacher can't be had; names the stage.
    """
    import torch

    from hwflow.compress import STAGES
    from hwflow.compress.distillation import check_teachers
    from hwflow.compress.quantize.untrained import quantize_untrained
    from hwflow.costs import recipe_target
    from hwflow.networks.libraries import Sequence as TokenSequence

    if isinstance(model, TokenSequence):
        for split in (data.train, data.validation, data.test):
            model.check_samples(torch.from_numpy(data.floats(split)))
    named = list(zip(recipe.stage_names, recipe.stages, strict=True))
    target = recipe_target(recipe, board)
    passed, quantize = model, None
    assumptions: list[str] = []
    for name, settings in named:
        stage: Any = STAGES[settings.kind]
        with within(name):
            stage.check(passed, settings, data.shape)
            if isinstance(settings, Quantize):
                quantize = settings
                passed = quantize_untrained(passed, settings, data)
                continue
            assumption = _assumption(settings, assumptions)
            # Sizes behind a decomposition follow from trained weights: nothing is told of them.
            shape = None if assumption == NOTHING_PRUNED else data.shape
            passed = stage.expected(passed, settings, shape, target)
        if assumption is not None:
            assumptions.append(f"{name}: {assumption}")
    check_teachers(named, model, data, base)
    return Passed(passed, quantize, tuple(assumptions))


def _assumption(settings: Any, before: Sequence[str]) -> str | None:
    """What is taken for what a stage decides by trained weights only."""
    if isinstance(settings, Prune):
        if any(DECOMPOSED in said for said in before):
            return NOTHING_PRUNED
        chosen = [settings.selection(policy) for policy in (*settings.policies, None)]
        return PRUNED if all(own.method in RANKING for own in chosen) else ALL_KEPT
    return DECOMPOSED if isinstance(settings, Decompose) else None
