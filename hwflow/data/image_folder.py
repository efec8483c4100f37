"""Folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwflow.data.dataset import Split
from hwflow.data.loader import PIXELS, Loader, Samples, data_root
from hwflow.errors import RequestError
from hwflow.recipe import ImageFolder


def load_image_folder(spec: ImageFolder, seed: int, base: Path | None) -> Samples:
    """Images (C, H, W) of 256 levels, from train/<class>/ and test/<class>/.

    Raises:
        RequestError: no images, unreadable ones, several sizes, or classes that differ.
    """
    from torchvision.datasets import ImageFolder as Folder

    root = data_root(spec.root, base)

    def part(name: str) -> tuple[Split, list[str]]:
        try:
            listed = Folder(str(root / name))
        except (FileNotFoundError, OSError) as error:
            raise RequestError(
                f"{root / name}: no images: {error}",
                hint="images belong in root/train/<class>/ and root/test/<class>/",
            ) from error
        images = [_image(Path(file), spec) for file, _ in listed.samples]
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise RequestError(
                f"{root / name}: images have different sizes: {sorted(shapes)[:3]}",
                hint="set data.size: [height, width]",
            )
        return Split(np.stack(images), np.asarray(listed.targets, np.int64)), listed.classes

    train, classes = part("train")
    test, test_classes = part("test")
    if classes != test_classes:
        raise RequestError(
            f"{root}: train has the classes {classes}, test {test_classes}",
            hint="both need the same class folders",
        )
    return Samples(train, test, PIXELS)


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


LOADER = Loader(ImageFolder, load_image_folder)
