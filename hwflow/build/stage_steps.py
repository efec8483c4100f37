"""The compression stages of a recipe as steps of a build, and what decides their outcome."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.engine.artifacts import write_whole
from hwflow.engine.pipeline import Context, Step

if TYPE_CHECKING:
    from hwflow.build.request import Build

DISTRIBUTIONS = ("torch", "lightning", "brevitas", "scikit-learn", "torchvision")


def repetition_folder(repetition: int) -> str:
    """Folder in the run directory of a repetition's stages; the first's are in that itself."""
    return f"seeds/{repetition + 1}" if repetition else ""


def stage_steps(build: Build, repetition: int) -> list[Step]:
    """The steps of a recipe's stages.

    Args:
        build: the recipe's.
        repetition: 0: with the recipe's seed. Others add to it, for initial weights and for
            training; the splits stay, so that results vary by training alone.
    """
    folder = repetition_folder(repetition)
    steps: list[Step] = []
    for index, name in enumerate(build.recipe.stage_names):
        place = f"{folder}/{name}" if folder else name
        steps.append(
            Step(
                place.replace("/", "-"),
                place,
                _Stage(build, index, repetition),
                settings=_settings(build, index, repetition),
                after=tuple(step.name for step in steps),
                rooms=("compress", "graphs", "costs", "networks", "data"),
                distributions=DISTRIBUTIONS,
            )
        )
    return steps


# --------------------------------------------------------------------- what outcomes follow from


def data_settings(build: Build) -> Any:
    """What decides the data."""
    recipe = build.recipe
    data = None if recipe.data is None else recipe.data.model_dump(mode="json")
    settings: list[Any] = [data, recipe.seed]
    files = () if recipe.data is None else recipe.data.files
    settings += [content_hash(build.loaded.base / file) for file in files]
    return settings


def origin(build: Build) -> Any:
    """What decides data and network."""
    network = build.recipe.network
    settings = None if network is None else network.model_dump(mode="json")
    files = () if network is None else network.files
    return [data_settings(build), settings, *_hashes(files, build)]


def content_hash(path: Path) -> str:
    """Hash of a file, or of the files in a folder, of the user's that a step reads; a missing one
    is the step's to report."""
    path = path.expanduser()
    try:
        if not path.is_dir():
            return hashlib.sha256(path.read_bytes()).hexdigest()
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = [f"{file.relative_to(path)} {content_hash(file)}" for file in files]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()
    except OSError:
        return "missing"


def _hashes(files: Sequence[str], build: Build) -> list[str]:
    return [content_hash(build.loaded.base / Path(file).expanduser()) for file in files]


def _settings(build: Build, index: int, repetition: int) -> Any:
    stage = build.recipe.stages[index]
    settings = [stage.model_dump(mode="json"), origin(build), repetition]
    settings += _hashes(stage.files, build)
    if stage.reads_target:
        settings += _target(build)
    return settings


def _target(build: Build) -> list[Any]:
    hardware = build.recipe.hardware
    bits = [stage.bits for stage in build.recipe.stages if stage.bits is not None]
    return [hardware.target_fps, hardware.clock_mhz or build.board.clock_mhz, bits]


# ------------------------------------------------------------------------------ running a stage


@dataclass(frozen=True)
class _Stage:
    """Runs one compression stage."""

    build: Build
    index: int
    repetition: int

    def __call__(self, folder: Path, context: Context) -> dict[str, Any]:
        from hwflow.compress import StageContext, save_checkpoint, stage_of
        from hwflow.compress.distillation import told_teachers
        from hwflow.compress.safety import memory_errors
        from hwflow.costs import layer_shapes, network_costs, recipe_target

        build, recipe = self.build, self.build.recipe
        settings = recipe.stages[self.index]
        data = build.data()
        after = partial(build.network, data, repetition=self.repetition)
        model = after(self.index)
        if self.index == self.repetition == 0:
            build.check(model, data)
        with memory_errors(settings.samples_a_step):
            outcome = stage_of(settings).run(
                model,
                settings,
                StageContext(
                    data,
                    recipe.seed + self.repetition,
                    folder,
                    context.note,
                    base=build.loaded.base,
                    scratch=context.scratch("unfinished"),
                    earlier={
                        name: partial(after, place + 1)
                        for place, name in enumerate(recipe.stage_names[: self.index])
                    },
                    target=recipe_target(recipe, build.board),
                ),
            )
        save_checkpoint(folder, outcome)
        facts: dict[str, Any] = {
            **outcome.metrics,
            **asdict(network_costs(outcome.model, data.shape)),
            "layers": [asdict(layer) for layer in layer_shapes(outcome.model, data.shape)],
        }
        teachers = told_teachers(folder)
        if teachers:
            facts["teachers"] = teachers
        write_whole(folder / "metrics.json", json.dumps(facts, indent=1).encode())
        return facts
