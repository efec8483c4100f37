"""Where teachers come from: earlier stages, checkpoint files, training of their own."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from hwflow import networks
from hwflow.compress.distillation.checkpoint import load_weights
from hwflow.compress.stage import (
    HEADER,
    WEIGHTS,
    StageContext,
    StageOutcome,
    measure,
    read_checkpoint,
    save_checkpoint,
)
from hwflow.compress.training import train
from hwflow.data import Dataset
from hwflow.engine.artifacts import write_whole
from hwflow.errors import HwflowError, within
from hwflow.recipe.distillation import Distillation, Teacher
from hwflow.recipe.order import earlier_stage

FILE = "teachers.json"  # in the folder of a stage: what its teachers are and how good
# Teachers of one stage get seeds this far apart: two of the same network are to differ.
SEED_STRIDE = 10_000


@dataclass(frozen=True)
class Taught:
    """A teacher, ready to teach.

    Attributes:
        name: what it is, in a few words.
        network: in eval mode, without gradients.
        metrics: accuracy on the validation and the test split.
    """

    name: str
    network: nn.Module
    metrics: dict[str, float] = field(default_factory=dict)


def load_teachers(settings: Distillation, context: StageContext) -> list[Taught]:
    """The teachers of a stage; those that are to be trained are, or were before a kill.

    Writes what they are and their accuracies to `teachers.json` in the stage's folder, and the
    weights of those that were trained beside it.

    Raises:
        HwflowError: a teacher can't be had: its stage, network or checkpoint is wrong, or its
            training failed.
    """
    teachers = [_load(teacher, n, context) for n, teacher in enumerate(settings.teachers)]
    for teacher in teachers:
        teacher.network.eval().requires_grad_(False)
    told = [{"teacher": teacher.name, **teacher.metrics} for teacher in teachers]
    write_whole(context.folder / FILE, json.dumps(told, indent=1).encode())
    return teachers


def told_teachers(folder: Path) -> list[dict[str, Any]]:
    """What a stage said of its teachers in its folder; nothing if it has none.

    Returns:
        For each `teacher` (what it is), `validation_accuracy` and `test_accuracy`.
    """
    file = folder / FILE
    return list(json.loads(file.read_text())) if file.exists() else []


def _load(teacher: Teacher, number: int, context: StageContext) -> Taught:
    if teacher.stage is not None:
        stage = earlier_stage(teacher.stage, context.earlier, f"teacher {number}")
        network = context.earlier[stage]()
        return Taught(f"stage {stage}", network, measure(network, context))
    if teacher.train is not None:
        return _trained(teacher, number, context)
    network = build_teacher(teacher, f"teacher {number}", context.data, context.seed, context.base)
    return Taught(
        f"{_called(teacher)} from {teacher.checkpoint}", network, measure(network, context)
    )


def build_teacher(teacher: Teacher, where: str, data: Dataset, seed: int, base: Path) -> nn.Module:
    """The network of a teacher; with its weights, if they come from a file.

    Raises:
        RequestError: the network can't be built, or the checkpoint is not one of it.
    """
    assert teacher.network is not None
    with within(where):
        network = networks.build(teacher.network, data.shape, data.classes, seed, base)
    if teacher.checkpoint is not None:
        file = base / Path(teacher.checkpoint).expanduser()
        load_weights(network, file, where, data.shape)
    return network


def _trained(teacher: Teacher, number: int, context: StageContext) -> Taught:
    """A teacher with training of its own; one that is found trained is taken as it is."""
    assert teacher.train is not None
    seed = context.seed + SEED_STRIDE * number
    network = build_teacher(teacher, f"teacher {number}", context.data, seed, context.base)
    folder = (context.scratch or context.folder) / f"teacher-{number}"
    if not (folder / HEADER).is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        own = dataclasses.replace(
            context,
            seed=seed,
            folder=folder,
            note=lambda text, fraction: context.note(f"teacher {number}: {text}", None),
        )
        try:
            train(network, teacher.train, own)
        except HwflowError as error:
            raise HwflowError(f"teacher {number}: {error.message}", hint=error.hint) from error
        save_checkpoint(folder, StageOutcome(network, measure(network, own)))
    outcome = read_checkpoint(folder, lambda structure: network)
    shutil.copyfile(folder / WEIGHTS, context.folder / f"teacher-{number}.safetensors")
    return Taught(f"{_called(teacher)}, trained", outcome.model, outcome.metrics)


def _called(teacher: Teacher) -> str:
    return "" if teacher.network is None else teacher.network.called
