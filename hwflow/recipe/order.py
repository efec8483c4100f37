"""Which stages can follow which, and which earlier stage a teacher's name means: orders that would
lose what a stage did are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError
from hwflow.recipe.stage import StageSettings


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


def first_misplaced(stages: Sequence[StageSettings]) -> Misplaced | None:
    """The first stage that undoes an earlier one or repeats it to no purpose; None if none does."""
    for index, stage in enumerate(stages):
        objection = stage.objection(stages[:index])
        if objection is not None:
            return Misplaced(index, f"{stage.kind} after {objection.reason}", objection.remedy)
    return None


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
    called_so = [name for name in names if asked in (name, name.partition("-")[2])]
    if len(called_so) == 1:
        return called_so[0]
    if called_so:
        raise RequestError(
            f"{where}: several earlier stages are called {asked!r}",
            hint=f"name one of {', '.join(called_so)}",
        )
    hint = nearest(asked, names) if names else "this is the first stage: give a network instead"
    raise RequestError(f"{where}: there is no earlier stage {asked!r}", hint=hint)
