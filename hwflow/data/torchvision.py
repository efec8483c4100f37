"""Data sets that torchvision reads."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.data.dataset import Split
from hwflow.data.loader import PIXELS, Loader, Samples, data_root
from hwflow.errors import RequestError
from hwflow.recipe import Torchvision


def load_torchvision(spec: Torchvision, seed: int, base: Path | None) -> Samples:
    """Images (C, H, W) of 256 levels, in torchvision's split.

    Raises:
        RequestError: the files are missing, damaged, or can't be downloaded.
    """
    from torchvision import datasets

    kinds: dict[str, Callable[..., Any]] = {
        "mnist": datasets.MNIST,
        "fashion_mnist": datasets.FashionMNIST,
        "cifar10": datasets.CIFAR10,
    }
    root = data_root(spec.root, base)

    def part(train: bool) -> Split:
        try:
            read = kinds[spec.name](str(root), train=train, download=spec.download)
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
        images = np.asarray(read.data, np.uint8)
        images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        labels = np.asarray(read.targets, np.int64)
        if len(images) != len(labels) or not len(images):
            raise _damaged(spec.name, root, f"{len(images)} images, {len(labels)} labels")
        return Split(np.ascontiguousarray(images), labels)

    return Samples(part(True), part(False), PIXELS)


def _damaged(name: str, root: Path, detail: object) -> RequestError:
    folder = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}.get(name, "")
    return RequestError(
        f"the files of {name} in {root / folder} are damaged or cut short: {detail}",
        hint=f"remove {root / folder} and get them again, for example with data.download=true",
    )


LOADER = Loader(Torchvision, load_torchvision)
