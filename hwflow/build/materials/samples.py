"""The samples of a build."""

from __future__ import annotations

from hwflow.build.request import Request
from hwflow.data import Dataset, load
from hwflow.exchange.importing import samples


def dataset(request: Request) -> Dataset:
    """The recipe's data set; of a model file, the samples that it was imported with."""
    recipe = request.recipe
    if recipe.model is not None:
        return samples.load(request.run_dir / request.source)
    assert recipe.data is not None
    return load(recipe.data, recipe.seed, request.base)
