"""Data set `stripes`: images with a bright row or a bright column."""

from typing import Literal

import numpy as np
from pydantic import Field

from hwflow.data import Encoding, Loader, Samples, Split
from hwflow.recipe.data import TestFraction


class Stripes(TestFraction):
    """Noise with a bright row (class 0) or a bright column (class 1)."""

    name: Literal["stripes"]
    side: int = Field(4, ge=2, description="Pixels of a side.")


def load(spec, seed, base):
    random = np.random.default_rng(seed)
    images = random.integers(0, 100, (400, 1, spec.side, spec.side), np.uint8)
    labels = np.arange(len(images), dtype=np.int64) % 2
    for image, label, line in zip(
        images, labels, random.integers(spec.side, size=len(images)), strict=True
    ):
        image[(0, line) if label == 0 else (0, slice(None), line)] = 255
    return Samples(Split(images, labels), None, Encoding(1 / 255, 0.0, 0, 255))


SCHEMA = Stripes
LOADER = Loader(Stripes, load)
