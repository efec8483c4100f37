"""NumPy files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.data.dataset import Encoding, Split
from hwflow.data.loader import Loader, Samples
from hwflow.errors import RequestError
from hwflow.recipe import Npz


def load_npz(spec: Npz, seed: int, base: Path | None) -> Samples:
    """Arrays x and y, and x_test and y_test if the file has them.

    Raises:
        RequestError: no such file, it is damaged, or its arrays don't go together.
    """
    path = (base or Path()) / Path(spec.file).expanduser()
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise RequestError(f"{path}: no such file", hint="check data.file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RequestError(
            f"{path}: is no whole .npz file: {error}", hint="write it again"
        ) from error
    train = _arrays(path, arrays, "x", "y")
    test = _arrays(path, arrays, "x_test", "y_test") if "x_test" in arrays else None
    encoding = None
    if np.issubdtype(train.inputs.dtype, np.integer):
        ends = [s.inputs for s in (train, test) if s is not None]
        low, high = min(int(x.min()) for x in ends), max(int(x.max()) for x in ends)
        encoding = Encoding(1.0, 0.0, min(low, 0), max(high, 1))
    return Samples(train, test, encoding, path.stem)


def _arrays(path: Path, arrays: dict[str, NDArray[Any]], x: str, y: str) -> Split:
    for name in (x, y):
        if name not in arrays:
            raise RequestError(
                f"{path}: has no array {name!r}", hint="arrays are x, y and perhaps x_test, y_test"
            )
    inputs, labels = arrays[x], arrays[y].reshape(-1)
    if len(inputs) != len(labels) or inputs.ndim < 2:
        raise RequestError(
            f"{path}: {x} has shape {inputs.shape} and {y} {arrays[y].shape}",
            hint="x is (N, ...) and y (N,)",
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise RequestError(f"{path}: {y} holds no class numbers", hint="classes are 0, 1, 2, ...")
    if not np.issubdtype(inputs.dtype, np.integer):
        inputs = inputs.astype(np.float32)
        if not np.all(np.isfinite(inputs)):
            raise RequestError(f"{path}: {x} holds numbers that are not finite")
    return Split(inputs, labels.astype(np.int64))


LOADER = Loader(Npz, load_npz)
