"""Loads the data set that a recipe names."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.data.dataset import Dataset, Encoding, Split
from hwflow.data.splits import divide
from hwflow.errors import RequestError
from hwflow.recipe import DataSpec, Digits, ImageFolder, Npz, Synthetic, Torchvision
from hwflow.recipe.data import TestFraction

PIXELS = Encoding(scale=1 / 255, offset=0.0, minimum=0, maximum=255)


def load(spec: DataSpec, seed: int, base: Path | None = None) -> Dataset:
    """Load a data set with disjoint train, validation and test splits, fixed by the seed.

    Args:
        spec: the recipe's `data`.
        seed: the recipe's seed.
        base: folder that relative paths start from.

    Raises:
        RequestError: files missing or damaged; names them and says what to do.
    """
    if isinstance(spec, Digits):
        return _digits(spec, seed)
    if isinstance(spec, Synthetic):
        return _synthetic(spec, seed)
    if isinstance(spec, Torchvision):
        return _torchvision(spec, seed, base)
    if isinstance(spec, ImageFolder):
        return _image_folder(spec, seed, base)
    return _npz(spec, seed, base)


def data_root(root: str | None, base: Path | None) -> Path:
    """The folder that a recipe's `root` means."""
    if root is None:
        default = os.environ.get("HWFLOW_DATA", "~/.cache/hwflow")
        return Path(default).expanduser()
    return (base or Path()) / Path(root).expanduser()


def _digits(spec: Digits, seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.uint8)[:, None]
    everything = Split(images, digits.target.astype(np.int64))
    return _dataset("digits", everything, None, spec, seed, Encoding(1 / 16, 0.0, 0, 16))


def _synthetic(spec: Synthetic, seed: int) -> Dataset:
    everything, scale = _made(spec.name, spec.samples, seed)
    return _dataset(spec.name, everything, None, spec, seed, Encoding(scale, 0.0, -128, 127))


# Steps of a build load the data again; making them takes longer than reading files.
@lru_cache(maxsize=1)
def _made(name: str, samples: int, seed: int) -> tuple[Split, float]:
    from hwflow.data import keywords, radio

    if name == "synthetic_radio":
        return Split(*radio.radio_signals(samples, seed)), radio.SCALE
    return Split(*keywords.spoken_keywords(samples, seed)), keywords.SCALE


def _torchvision(spec: Torchvision, seed: int, base: Path | None) -> Dataset:
    from torchvision import datasets

    kinds: dict[str, Callable[..., Any]] = {
        "mnist": datasets.MNIST,
        "fashion_mnist": datasets.FashionMNIST,
        "cifar10": datasets.CIFAR10,
    }
    root = data_root(spec.root, base)

    def part(train: bool) -> Split:
        try:
            found = kinds[spec.name](str(root), train=train, download=spec.download)
        except RuntimeError as error:
            if "not found" not in str(error).lower():
                raise _damaged(spec.name, root, error) from error
            raise RequestError(
                f"{spec.name} is not in {root}",
                hint="set data.download=true, data.root=FOLDER or HWFLOW_DATA=FOLDER",
            ) from error
        except OSError as error:
            raise RequestError(
                f"{spec.name} can't be read or downloaded to {root}: {error}",
                hint="check the folder and the network, or put the files there yourself",
            ) from error
        except (ValueError, EOFError, AssertionError, gzip.BadGzipFile) as error:
            raise _damaged(spec.name, root, error) from error
        images = np.asarray(found.data, np.uint8)
        images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        labels = np.asarray(found.targets, np.int64)
        if len(images) != len(labels) or not len(images):
            raise _damaged(spec.name, root, f"{len(images)} images, {len(labels)} labels")
        return Split(np.ascontiguousarray(images), labels)

    return _dataset(spec.name, part(True), part(False), spec, seed, PIXELS)


def _damaged(name: str, root: Path, detail: object) -> RequestError:
    folder = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}.get(name, "")
    return RequestError(
        f"the files of {name} in {root / folder} are damaged or cut short: {detail}",
        hint=f"remove {root / folder} and get them again, for example with data.download=true",
    )


def _image_folder(spec: ImageFolder, seed: int, base: Path | None) -> Dataset:
    from torchvision.datasets import ImageFolder as Folder

    root = data_root(spec.root, base)

    def part(name: str) -> tuple[Split, list[str]]:
        try:
            found = Folder(str(root / name))
        except (FileNotFoundError, OSError) as error:
            raise RequestError(
                f"{root / name}: no images: {error}",
                hint="images belong in root/train/<class>/ and root/test/<class>/",
            ) from error
        images = [_image(Path(file), spec) for file, _ in found.samples]
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise RequestError(
                f"{root / name}: images have different sizes: {sorted(shapes)[:3]}",
                hint="set data.size: [height, width]",
            )
        return Split(np.stack(images), np.asarray(found.targets, np.int64)), found.classes

    train, classes = part("train")
    test, test_classes = part("test")
    if classes != test_classes:
        raise RequestError(
            f"{root}: train has the classes {classes}, test {test_classes}",
            hint="both need the same class folders",
        )
    return _dataset("image_folder", train, test, spec, seed, PIXELS)


def _image(file: Path, spec: ImageFolder) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            image = picture.convert("L" if spec.grey else "RGB")
            if spec.size is not None:
                image = image.resize((spec.size[1], spec.size[0]))
            pixels = np.asarray(image, np.uint8)
    except (OSError, UnidentifiedImageError) as error:
        raise RequestError(f"{file}: is no readable image", hint="remove or replace it") from error
    return pixels[None] if spec.grey else pixels.transpose(2, 0, 1)


def _npz(spec: Npz, seed: int, base: Path | None) -> Dataset:
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
    return _dataset(path.stem, train, test, spec, seed, encoding)


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


def _dataset(
    name: str,
    train: Split,
    test: Split | None,
    spec: DataSpec,
    seed: int,
    encoding: Encoding | None,
) -> Dataset:
    if test is None:
        assert isinstance(spec, TestFraction)
        train, test = divide(train, spec.test, seed, "test")
    rest, validation = divide(train, spec.validation, seed, "validation")
    return Dataset(
        name=name,
        classes=int(max(train.labels.max(), test.labels.max())) + 1,
        shape=tuple(rest.inputs.shape[1:]),
        train=rest,
        validation=validation,
        test=test,
        encoding=encoding,
    )
