"""What can be found wrong with teachers before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from hwflow.compress.distillation.features import check_layers
from hwflow.compress.distillation.hints import layer_terms
from hwflow.compress.distillation.teachers import build_teacher
from hwflow.data import Dataset
from hwflow.errors import within
from hwflow.recipe import StageSettings
from hwflow.recipe.distillation import Distillation, Teacher
from hwflow.recipe.order import earlier_stage


def check_teachers(
    stages: Sequence[tuple[str, StageSettings]], model: nn.Module, data: Dataset, base: Path
) -> None:
    """Find out before any training what the stages' teachers would fail of.

    Layers of networks that stages before have changed can't be known yet; they are checked when
    the stage starts.

    Args:
        stages: name and settings of each.
        model: the recipe's network, not trained.
        data: the data set.
        base: folder that paths in the recipe are relative to.

    Raises:
        RequestError: a stage that is no earlier one, a network that can't be built, a checkpoint
            that is missing, damaged, of another network or of other classes, or a layer that is
            not there.
    """
    for index, (name, settings) in enumerate(stages):
        distillation = getattr(settings, "distillation", None)
        if distillation is None:
            continue
        names = [name for name, _ in stages[:index]]
        changed = [not settings.keeps_layers for _, settings in stages[: index + 1]]
        networks = [
            _network(teacher, f"{name}, teacher {number}", names, changed, model, data, base)
            for number, teacher in enumerate(distillation.teachers)
        ]
        with within(name):
            _check_pairs(distillation, None if any(changed) else model, networks, data)


def _network(
    teacher: Teacher,
    where: str,
    names: list[str],
    changed: list[bool],
    model: nn.Module,
    data: Dataset,
    base: Path,
) -> nn.Module | None:
    """A teacher's network, its weights aside; None where it is not known yet."""
    if teacher.stage is None:
        return build_teacher(teacher, where, data, 0, base)
    stage = names.index(earlier_stage(teacher.stage, names, where))
    return None if any(changed[: stage + 1]) else model


def _check_pairs(
    settings: Distillation,
    student: nn.Module | None,
    teachers: list[nn.Module | None],
    data: Dataset,
) -> None:
    """Check the layers of the networks that are known."""
    known = [teacher for teacher in teachers if teacher is not None]
    if student is not None and len(known) == len(teachers):
        layer_terms(settings, student, known, data.shape)
        return
    for pair in (*settings.hints, *settings.attention):
        teacher = teachers[pair.of]
        if teacher is not None:
            check_layers(teacher, [pair.teacher], f"teacher {pair.of}")
        if student is not None:
            check_layers(student, [pair.student], "the network")
