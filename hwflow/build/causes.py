"""What the outcomes of steps follow from beside their code and the steps before them: the settings
of each as JSON, and the contents of the user's files that they name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hwflow.build.request import Request
from hwflow.recipe import Decompose, NetworkSpec, Npz, Prune, Quantize, StageSpec
from hwflow.recipe.network import TransformersNetwork


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


def data_causes(request: Request) -> Any:
    """What decides the data."""
    recipe = request.recipe
    data = None if recipe.data is None else recipe.data.model_dump(mode="json")
    settings: list[Any] = [data, recipe.seed]
    if isinstance(recipe.data, Npz):
        settings.append(content_hash(request.base / recipe.data.file))
    return settings


def origin_causes(request: Request) -> Any:
    """What decides data and network; the files that a user's network is in are followed."""
    network = request.recipe.network
    settings = None if network is None else network.model_dump(mode="json")
    return [data_causes(request), settings, *_pretrained(network, request)]


def stage_causes(request: Request, index: int) -> Any:
    """What decides what a stage does to the network."""
    stage = request.recipe.stages[index]
    settings = [stage.model_dump(mode="json"), origin_causes(request), *_teachers(stage, request)]
    if isinstance(stage, Prune | Decompose):  # Budgets in hardware cost are for a target.
        settings += _target(request)
    return settings


def folding_causes(request: Request) -> Any:
    """The folding file."""
    folding = request.recipe.hardware.folding
    return None if folding is None else content_hash(request.base / folding)


def model_causes(request: Request) -> Any:
    """The user's files that the import of a model reads, and what the recipe says of it."""
    from hwflow.exchange.importing.reading import external_files

    model = request.recipe.model
    assert model is not None
    path = request.base / Path(model.qonnx).expanduser()
    files = [path, *external_files(path)]
    if model.inputs is not None:
        files.append(request.base / Path(model.inputs).expanduser())
    return [model.model_dump(mode="json"), [content_hash(file) for file in files]]


def _pretrained(network: NetworkSpec | None, request: Request) -> list[str]:
    """Hash of the files that pretrained weights are in."""
    if isinstance(network, TransformersNetwork) and network.checkpoint is not None:
        return [content_hash(request.base / network.checkpoint)]
    return []


def _teachers(stage: StageSpec, request: Request) -> list[str]:
    """Hashes of the files that teachers come from."""
    distillation = getattr(stage, "distillation", None)
    hashes: list[str] = []
    for teacher in distillation.teachers if distillation is not None else ():
        hashes += _pretrained(teacher.network, request)
        if teacher.checkpoint is not None:
            hashes.append(content_hash(request.base / Path(teacher.checkpoint).expanduser()))
    return hashes


def _target(request: Request) -> list[Any]:
    hardware = request.recipe.hardware
    quantize = [s for s in request.recipe.stages if isinstance(s, Quantize)]
    bits = [[s.weight_bits, s.activation_bits] for s in quantize]
    return [hardware.target_fps, hardware.clock_mhz or request.board.clock_mhz, bits]
