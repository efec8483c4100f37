"""Which stages can follow which, and which earlier stage a teacher's name means: orders that would
lose what a stage did are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError
from hwflow.recipe.optimization import Optimization

# Granularities of pruning that leave zeros in weights, where others take units out.
SCATTERED = frozenset({"element", "block", "n_of_m", "row", "column"})


# What stages can do behind such zeros.
_INSTEAD = {
    "quantize": ", and quantize with epochs: 0",
    "prune": ", and prune all in one stage, with policies, or what is scattered last",
}


@dataclass(frozen=True)
class Misplaced:
    """A stage that can't stand where it does.

    Attributes:
        index: of the stage in the recipe.
        reason: what would be lost.
        remedy: where to put it, or what to do instead.
    """

    index: int
    reason: str
    remedy: str


def first_misplaced(stages: Sequence[Optimization]) -> Misplaced | None:
    """The first stage that undoes an earlier one or repeats it to no purpose; None if none does."""
    kinds = [str(getattr(stage, "kind", "")) for stage in stages]
    for index, kind in enumerate(kinds):
        found = _problem(stages, kinds, index)
        if found is not None:
            return Misplaced(index, f"{kind} after {found[0]}", found[1])
    return None


def _problem(
    stages: Sequence[Optimization], kinds: Sequence[str], index: int
) -> tuple[str, str] | None:
    kind, before = kinds[index], kinds[:index]
    if kind == "quantize" and "quantize" in before:
        return "quantize: a network is quantized once", "keep one of the two"
    if "quantize" in before:
        remedy = (
            "use the quantize stage's own epochs and distillation"
            if kind in {"train", "distill"}
            else f"put {kind} before quantize"
        )
        return "quantize loses the quantized weights and their scales", remedy
    if kind == "decompose" and "decompose" in before:
        return "decompose: factors of factors are no smaller", "keep one of the two"
    if kind == "decompose" and any(_scatters(stage) for stage in stages[:index]):
        return (
            "pruning of scattered weights loses their zeros: a product of factors has none",
            "prune channels, heads or neurons, or leave decompose out",
        )
    stage = stages[index]
    trains = kind in {"train", "distill"} or stage.epochs + getattr(stage, "fill_epochs", 0) > 0
    if trains and any(_scatters(stage) for stage in stages[:index]):
        return (
            "pruning of scattered weights loses their zeros: training moves them",
            "use the prune stage's own fill_epochs and distillation, which keep zeros"
            + _INSTEAD.get(kind, ""),
        )
    if kind == "train" and before and before[-1] == "train":
        return "train does the same again", "raise the epochs of one of them"
    return None


def _scatters(stage: Optimization) -> bool:
    policies = getattr(stage, "policies", ())
    return any(getattr(part, "granularity", None) in SCATTERED for part in (stage, *policies))


def earlier_stage(asked: str, names: Iterable[str], where: str) -> str:
    """The full name of an earlier stage.

    Args:
        asked: `01-train`, or `train` if there is one such stage.
        names: of the earlier stages.
        where: who asks, in messages.

    Raises:
        RequestError: there is no such stage, or there are several.
    """
    names = list(names)
    found = [name for name in names if asked in (name, name.partition("-")[2])]
    if len(found) == 1:
        return found[0]
    if found:
        raise RequestError(
            f"{where}: several earlier stages are called {asked!r}",
            hint=f"name one of {', '.join(found)}",
        )
    hint = nearest(asked, names) if names else "this is the first stage: give a network instead"
    raise RequestError(f"{where}: there is no earlier stage {asked!r}", hint=hint)
