"""A compression stage."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

from hwflow.build.causes import network_causes
from hwflow.build.request import Request, repetition_folder
from hwflow.costs import layer_shapes, network_costs, recipe_target
from hwflow.engine.artifacts import write_whole
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.stage import StageFacts, Teacher


def steps(request: Request, repetition: int) -> list[Step]:
    """The steps of a recipe's stages.

    Args:
        request: of the build.
        repetition: 0: with the recipe's seed. Others add to it, for initial weights and for
            training; the splits stay, so that results vary by training alone.
    """
    folder = repetition_folder(repetition)
    stage_steps: list[Step] = []
    for index, name in enumerate(request.recipe.stage_names):
        stage_folder = f"{folder}/{name}" if folder else name
        stage_steps.append(
            Step(
                stage_folder.replace("/", "-"),
                stage_folder,
                partial(run, request, index, repetition),
                settings=[network_causes(request, index + 1), repetition],
                after=tuple(step.name for step in stage_steps),
                base=request.base,
            )
        )
    return stage_steps


def run(
    request: Request, index: int, repetition: int, folder: Path, context: Context
) -> StageFacts:
    """Transform and train the network that the stage before left."""
    from hwflow.build.materials.network import trained
    from hwflow.build.materials.samples import dataset
    from hwflow.compress import StageContext, save_checkpoint, stage_of
    from hwflow.compress.distillation import told_teachers
    from hwflow.compress.safety import memory_errors
    from hwflow.networks import following

    recipe, data = request.recipe, dataset(request)
    settings = recipe.stages[index]
    after = partial(trained, request, data, repetition=repetition)
    with following(context.follow), memory_errors(settings.samples_a_step):
        outcome = stage_of(settings).run(
            after(index),
            settings,
            StageContext(
                data,
                recipe.seed + repetition,
                folder,
                context.note,
                base=request.base,
                scratch=context.scratch("unfinished"),
                earlier={
                    name: partial(after, position + 1)
                    for position, name in enumerate(recipe.stage_names[:index])
                },
                target=recipe_target(recipe, request.board),
            ),
        )
    save_checkpoint(folder, outcome)
    facts = StageFacts(
        metrics=outcome.metrics,
        **asdict(network_costs(outcome.model, data.shape)),
        layers=tuple(layer_shapes(outcome.model, data.shape)),
        teachers=tuple(Teacher(**teacher) for teacher in told_teachers(folder)),
    )
    readable = facts.model_dump(mode="json")
    readable = {**readable.pop("metrics"), **readable}
    write_whole(folder / "metrics.json", json.dumps(readable, indent=1).encode())
    return facts
