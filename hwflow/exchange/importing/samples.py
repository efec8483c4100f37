"""What an imported network is verified on: a data set, a file of inputs, or random inputs."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwflow.data import Dataset, Encoding, Split
from hwflow.engine.artifacts import write_whole
from hwflow.errors import RequestError
from hwflow.exchange.translation.graph import inverse

FILE, ABOUT = "samples.npz", "samples.json"
# How far from a code's real value an input may lie beyond the ends, in steps.
SLACK = 1e-3
NO_CLASS = -1


def from_data(data: Dataset, shape: tuple[int, ...], code: Encoding | None, said: bool) -> Dataset:
    """The test split of a data set as inputs of the network.

    Args:
        data: the data set.
        shape: of the network's input, channels first.
        code: what the network's input integers mean.
        said: whether the recipe says so; else the data set's own encoding holds.

    Raises:
        RequestError: samples have another shape, or integers that `code` does not have.
    """
    inputs = _shaped(data.test.inputs, shape, f"{data.name}'s samples")
    encoding = code if said else data.encoding
    if encoding is not None:
        kind = f"the integers of {data.name}"
        inputs = _codes(inputs, encoding, kind, integers=data.encoding is not None)
    return _dataset(data.name, inputs, data.test.labels, data.classes, encoding)


def from_file(
    path: Path, shape: tuple[int, ...], axes: tuple[int, ...], classes: int, code: Encoding | None
) -> Dataset:
    """The arrays `inputs` and, if there, `labels` of a NumPy file.

    Integers are codes where the input has codes, else, like floats, real values as the model file
    takes them; real values are rounded to the nearest code.

    Args:
        path: of the file.
        shape: of the network's input, channels first.
        axes: how the model file has it.
        classes: how many there are.
        code: what the network's input integers mean.

    Raises:
        RequestError: no such file, no such array, a wrong shape, values out of range.
    """
    arrays = _arrays(path)
    array = arrays["inputs"]
    wanted = tuple((1, *shape)[axis] for axis in axes)[1:]
    if array.ndim < 2 or array.shape[1:] != wanted or not len(array):
        raise RequestError(
            f"{path}: inputs has the shape {array.shape}, but the model takes (N,"
            f" {', '.join(map(str, wanted))})",
            hint="give one sample a row, in the shape that the model file has",
        )
    integers = np.issubdtype(array.dtype, np.integer)
    if not integers and not np.issubdtype(array.dtype, np.floating):
        raise RequestError(f"{path}: inputs holds {array.dtype}", hint="give numbers")
    if not np.all(np.isfinite(array)):
        raise RequestError(f"{path}: inputs holds numbers that are not finite", hint="mend them")
    inputs = np.transpose(array, inverse(axes))
    if code is not None:
        inputs = _codes(inputs, code, f"{path}: inputs", integers=integers)
    labels = None
    if "labels" in arrays:
        labels = _labels(path, arrays["labels"], len(inputs), classes)
    return _dataset(path.name, inputs, labels, classes, code)


def at_random(
    shape: tuple[int, ...],
    classes: int,
    code: Encoding | None,
    reach: tuple[float, float] | None,
    count: int,
    seed: int,
) -> Dataset:
    """Random inputs, uniform over the range, the ends of it first.

    Args:
        shape: of the network's input.
        classes: how many there are.
        code: what the input's integers mean; None: they are the first quantizer's.
        reach: range that the first quantizer tells apart.
        count: of samples.
        seed: of the numbers.

    Raises:
        RequestError: the range is not known.
    """
    random = np.random.default_rng(seed)
    if code is not None:
        inputs: NDArray[Any] = random.integers(code.minimum, code.maximum + 1, (count, *shape))
        ends: tuple[float, float] = code.minimum, code.maximum
    elif reach is not None:
        inputs = random.uniform(*reach, (count, *shape)).astype(np.float32)
        ends = reach
    else:
        raise RequestError(
            "the range of the model's input is not known: its first quantizer does not follow"
            " from the input by scaling alone",
            hint="say it, for example --set 'model.input={minimum: 0, maximum: 1, bits: 8}', or"
            " give inputs",
        )
    for sample, end in zip(inputs[:2], ends, strict=False):
        sample[...] = end
    return _dataset("random inputs", inputs, None, classes, code)


def save(data: Dataset, folder: Path) -> None:
    """Leave the samples in a folder."""
    about = {
        "name": data.name,
        "classes": data.classes,
        "labelled": data.labelled,
        "encoding": None if data.encoding is None else asdict(data.encoding),
    }
    np.savez_compressed(folder / FILE, inputs=data.test.inputs, labels=data.test.labels)
    write_whole(folder / ABOUT, json.dumps(about, indent=1).encode())


def load(folder: Path) -> Dataset:
    """The samples that `save` left."""
    about = json.loads((folder / ABOUT).read_text())
    with np.load(folder / FILE) as arrays:
        inputs, labels = arrays["inputs"], arrays["labels"]
    encoding = None if about["encoding"] is None else Encoding(**about["encoding"])
    return _dataset(
        about["name"], inputs, labels if about["labelled"] else None, about["classes"], encoding
    )


# --------------------------------------------------------------------------------- the parts


def _dataset(
    name: str,
    inputs: NDArray[Any],
    labels: NDArray[np.int64] | None,
    classes: int,
    encoding: Encoding | None,
) -> Dataset:
    """All samples as the test split, and for sizing FIFOs as the validation split."""
    known = labels if labels is not None else np.full(len(inputs), NO_CLASS, np.int64)
    split = Split(inputs, known)
    nothing = Split(inputs[:0], known[:0])
    shape = tuple(inputs.shape[1:])
    return Dataset(
        name, classes, shape, nothing, split, split, encoding, labelled=labels is not None
    )


def _shaped(inputs: NDArray[Any], shape: tuple[int, ...], what: str) -> NDArray[Any]:
    """Samples of a data set in the shape that the network takes: images may be flattened."""
    sample = inputs.shape[1:]
    if sample == shape:
        return inputs
    features = int(np.prod(sample))
    if shape in ((features,), (1, features)):
        return inputs.reshape(len(inputs), *shape)
    if sample == (*shape[-1:], *shape[:-1]):  # The model takes channels last.
        return np.moveaxis(inputs, 1, -1)
    raise RequestError(
        f"{what} have the shape {sample}, but the model takes {shape}",
        hint="choose the data set that the model was trained on",
    )


def _codes(inputs: NDArray[Any], code: Encoding, what: str, *, integers: bool) -> NDArray[Any]:
    """Inputs as codes: integers as they are, real values rounded to the nearest.

    Raises:
        RequestError: one is out of range.
    """
    codes = inputs if integers else (inputs.astype(np.float64) - code.offset) / code.scale
    low, high = code.minimum - SLACK, code.maximum + SLACK
    outside = np.flatnonzero((codes < low) | (codes > high))
    if len(outside):
        position = int(outside[0])
        value = inputs.reshape(-1)[position]
        ends: tuple[float, ...] = (code.minimum, code.maximum)
        if not integers:
            ends = tuple(code.scale * end + code.offset for end in ends)
        raise RequestError(
            f"{what}: {value:g} in sample {position // max(1, inputs[0].size)} is out of the range"
            f" {ends[0]:g} to {ends[1]:g} of the model's input, as are {len(outside) - 1} others",
            hint="scale the inputs as the model was trained, or set model.input",
        )
    return np.rint(codes).astype(np.int64)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise RequestError(f"{path}: no such file", hint="check --inputs") from error
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise RequestError(
            f"{path}: is no whole .npz file: {error}", hint="write it with numpy.savez"
        ) from error
    if "inputs" not in arrays:
        raise RequestError(
            f"{path}: has no array 'inputs'",
            hint=f"arrays are inputs and perhaps labels; there are {', '.join(arrays) or 'none'}",
        )
    return arrays


def _labels(path: Path, labels: NDArray[Any], samples: int, classes: int) -> NDArray[np.int64]:
    if labels.shape != (samples,) or not np.issubdtype(labels.dtype, np.integer):
        raise RequestError(
            f"{path}: labels has the shape {labels.shape} and type {labels.dtype}, but there are"
            f" {samples} inputs",
            hint="give one class number, from 0, for each input",
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise RequestError(
            f"{path}: labels holds the class {labels.max() if labels.min() >= 0 else labels.min()},"
            f" but the model has {classes}",
            hint="classes are 0, 1, 2, ...",
        )
    return labels.astype(np.int64)
