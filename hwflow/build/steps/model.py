"""The import of a model file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from hwflow.build.causes import data_causes, model_causes
from hwflow.build.request import Request
from hwflow.engine.pipeline import Context, Step
from hwflow.facts.imported import ImportFacts


def step(request: Request) -> Step:
    """The step, which bears the name `import`."""
    settings = [model_causes(request), data_causes(request)]
    return Step("import", "import", partial(run, request), settings, base=request.base)


def run(request: Request, folder: Path, context: Context) -> ImportFacts:
    """Bring the file to the form that the lowering knows, and choose samples to verify it on."""
    from hwflow.exchange.importing.importer import import_into

    recipe, base = request.recipe, request.base
    assert recipe.model is not None
    path = base / Path(recipe.model.qonnx).expanduser()
    imported: dict[str, Any] = import_into(
        folder, path, recipe.model, recipe.data, recipe.seed, base, context.note
    )
    return ImportFacts.model_validate(imported)
