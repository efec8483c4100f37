"""Loads the data set that a recipe names."""

from __future__ import annotations

from pathlib import Path

from hwflow.data.dataset import Dataset
from hwflow.data.loader import LOADERS
from hwflow.data.splits import divide
from hwflow.errors import RequestError
from hwflow.recipe import Data
from hwflow.recipe.data import TestFraction


def load(spec: Data, seed: int, base: Path | None = None) -> Dataset:
    """Load a data set with disjoint train, validation and test splits, fixed by the seed.

    Args:
        spec: the recipe's `data`.
        seed: the recipe's seed.
        base: folder that relative paths start from.

    Raises:
        RequestError: files missing or damaged; names them and says what to do.
    """
    samples = LOADERS.implementation(spec).load(spec, seed, base)
    train, test = samples.train, samples.test
    if test is None:
        if not isinstance(spec, TestFraction):
            raise RequestError(
                f"data: {spec.name} has no test samples, nor a fraction of them to hold out",
                hint="its options must derive from TestFraction, or its loader give both splits",
            )
        train, test = divide(train, spec.test, seed, "test")
    rest, validation = divide(train, spec.validation, seed, "validation")
    return Dataset(
        name=samples.name or spec.name,
        classes=int(max(train.labels.max(), test.labels.max())) + 1,
        shape=tuple(rest.inputs.shape[1:]),
        train=rest,
        validation=validation,
        test=test,
        encoding=samples.encoding,
    )
