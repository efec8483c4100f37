"""scikit-learn's handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwflow.data.dataset import Encoding, Split
from hwflow.data.loader import Loader, Samples
from hwflow.recipe import Digits


def load_digits(spec: Digits, seed: int, base: Path | None) -> Samples:
    """1,797 images (1, 8, 8) of 17 grey levels."""
    from sklearn import datasets

    digits = datasets.load_digits()
    images = digits.images.astype(np.uint8)[:, None]
    everything = Split(images, digits.target.astype(np.int64))
    return Samples(everything, None, Encoding(1 / 16, 0.0, 0, 16))


LOADER = Loader(Digits, load_digits)
