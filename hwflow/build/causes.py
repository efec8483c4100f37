"""What the outcomes of steps follow from beside their code and the steps before them: the settings
of each as JSON, and the contents of the user's files that they name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwflow.build.request import Request
from hwflow.costs import clock_mhz


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
    if recipe.data is None:
        return [None, recipe.seed]
    settings = recipe.data.model_dump(mode="json")
    return [settings, recipe.seed, _hashes(recipe.data.files, request)]


def origin_causes(request: Request) -> Any:
    """What decides data and network; what a user's network reads besides is followed."""
    network = request.recipe.network
    if network is None:
        return [data_causes(request)]
    settings = network.model_dump(mode="json")
    return [data_causes(request), settings, _hashes(network.files, request)]


def network_causes(request: Request, stages: int) -> Any:
    """What decides, beside their weights, the network that the first stages leave."""
    return [origin_causes(request), [stage_causes(request, index) for index in range(stages)]]


def stage_causes(request: Request, index: int) -> Any:
    """What decides what a stage does to the network."""
    stage = request.recipe.stages[index]
    settings = [stage.model_dump(mode="json"), origin_causes(request)]
    return [*settings, _hashes(stage.files, request), _target(request) * stage.reads_target]


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


def _hashes(files: Sequence[str], request: Request) -> list[str]:
    return [content_hash(request.base / Path(file)) for file in files]


def _target(request: Request) -> list[Any]:
    """What budgets in hardware cost are for."""
    recipe, board = request.recipe, request.board
    bits = [stage.bits for stage in recipe.stages if stage.bits is not None]
    return [recipe.hardware.target_fps, clock_mhz(recipe.hardware, board), board.family, bits]
