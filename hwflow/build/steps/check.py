"""The first step: what later ones would fail of, before any of them works."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from hwflow.build.causes import folding_causes, model_causes, origin_causes, stage_causes
from hwflow.build.materials.network import untrained
from hwflow.build.materials.samples import dataset
from hwflow.build.request import Request
from hwflow.build.top_k import check_top_k
from hwflow.compress import STAGES
from hwflow.compress.distillation import check_teachers
from hwflow.compress.prune import check_pruning
from hwflow.config.yaml_source import load_yaml
from hwflow.costs import recipe_target, target_cycles
from hwflow.engine.pipeline import Context, Step
from hwflow.errors import within
from hwflow.networks.libraries import Sequence
from hwflow.recipe import Quantize
from hwflow.simulate.compile import check_compiler


def step(request: Request) -> Step:
    """The step, which follows from the whole recipe and the board."""
    recipe = request.recipe
    files = [stage_causes(request, index) for index in range(len(recipe.stages))]
    files += [origin_causes(request), folding_causes(request)]
    if recipe.model is not None:
        files.append(model_causes(request))
    settings = [recipe.model_dump(mode="json"), request.board.model_dump(mode="json"), files]
    return Step("check", "check", partial(run, request), settings, base=request.base)


def run(request: Request, folder: Path, context: Context) -> dict[str, Any]:
    """Find out what later steps would fail of.

    Raises:
        HwflowError: a stage can't take the network, a teacher can't be had, the folding can't be
            had, or there is no compiler for the simulation.
    """
    if request.recipe.model is None:
        _check_stages(request)
    if request.recipe.model is not None or any(
        isinstance(stage, Quantize) for stage in request.recipe.stages
    ):
        _check_hardware(request)
    return {}


def _check_stages(request: Request) -> None:
    recipe, data = request.recipe, dataset(request)
    model = untrained(request, data)
    if isinstance(model, Sequence):
        for split in (data.train, data.validation, data.test):
            model.check_samples(torch.from_numpy(data.floats(split)))
    named = list(zip(recipe.stage_names, recipe.stages, strict=True))
    expected = model
    for name, settings in named:
        stage: Any = STAGES[settings.kind]
        with within(name):
            stage.check(expected, settings, data.shape)
        expected = stage.expected(expected, settings)
    check_teachers(named, model, data, request.base)
    check_pruning(named, model, data.shape, recipe_target(recipe, request.board))
    if any(isinstance(stage, Quantize) for stage in recipe.stages):
        check_top_k(recipe.hardware, data.classes)


def _check_hardware(request: Request) -> None:
    hardware = request.recipe.hardware
    target_cycles(hardware, request.board)
    if hardware.folding is not None:
        load_yaml(request.base / hardware.folding)
    check_compiler()
