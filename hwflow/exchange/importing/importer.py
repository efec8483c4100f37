"""The import of a file, from reading it to knowing that it was understood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from hwflow.data import Dataset, Encoding, load
from hwflow.exchange.domains import opset
from hwflow.exchange.importing import samples
from hwflow.exchange.importing.execution import Comparison, compare
from hwflow.exchange.importing.normal import InputGrid, Normal, translated
from hwflow.exchange.importing.reading import element_type, prepared, read_model, sample_shape
from hwflow.recipe import DataSpec, ImportedModel
from hwflow.recipe.model import InputMeaning

# Samples on which the normal form and the file are compared.
COMPARED = 256


@dataclass(frozen=True)
class Imported:
    """A file in normal form.

    Attributes:
        file: as read.
        path: where it lies.
        normal: the network in the form that the lowering knows.
        code: what the accelerator's input integers mean; None: they are the codes of the first
            quantizer, which the host computes.
    """

    file: onnx.ModelProto
    path: Path
    normal: Normal
    code: Encoding | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample, channels first."""
        dims = self.normal.model.graph.input[0].type.tensor_type.shape.dim
        return tuple(d.dim_value for d in dims)[1:]

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.normal.model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)

    @property
    def kind(self) -> str:
        """The format of the file and the version of ONNX's operations in it."""
        quantizers = {node.op_type for node in self.file.graph.node}
        name = "QCDQ" if "DequantizeLinear" in quantizers else "QONNX"
        return f"{name}, opset {opset(self.file)}"

    @property
    def meaning(self) -> str:
        """What the accelerator's input numbers mean, in words."""
        if self.code is None:
            reach = self.normal.reach
            if self.normal.kept_before:
                return "codes of a quantizer behind what the host runs"
            ends = "" if reach is None else f", which tells {reach[0]:g} to {reach[1]:g} apart"
            return f"codes of the first quantizer{ends}"
        code = self.code
        low, high = (code.scale * n + code.offset for n in (code.minimum, code.maximum))
        if self.normal.kept_before:
            return f"codes of a quantizer behind what the host runs, inputs {low:g} to {high:g}"
        return f"codes {code.minimum} to {code.maximum} for {low:g} to {high:g}"


def import_model(path: Path, settings: ImportedModel) -> Imported:
    """Read a file and bring it to normal form.

    Args:
        path: of the file.
        settings: what the recipe says of it.

    Raises:
        RequestError: it can't be read, or hardware does not take it; says what, where and what
            to do.
    """
    model = read_model(path)
    sample = sample_shape(model, str(path), settings.shape)
    code = _encoding(settings.input, element_type(model))
    grid = None
    if code is not None:
        grid = InputGrid(code.scale, code.offset, code.minimum, code.maximum)
    return Imported(model, path, translated(model, sample, grid), code)


def normalised(model: onnx.ModelProto, name: str = "the export") -> Normal:
    """The normal form of a model whose input has a quantizer, as the exports of quantized networks
    have.

    Args:
        model: QONNX or QCDQ, of one input of a known shape; it is left as it is.
        name: of it, for messages.

    Raises:
        RequestError: hardware does not take it; says what, where and what to do.
    """
    own = onnx.ModelProto()
    own.CopyFrom(model)
    own = prepared(own, name)
    return translated(own, sample_shape(own, name, None), None)


def _encoding(meaning: InputMeaning | None, element: str) -> Encoding | None:
    """What input integers mean: as the recipe says, or as a file whose input is integers does."""
    if meaning is not None:
        least = -(2 ** (meaning.bits - 1)) if meaning.signed else 0
        greatest = least + 2**meaning.bits - 1
        scale = (meaning.maximum - meaning.minimum) / (greatest - least)
        return Encoding(scale, meaning.minimum - scale * least, least, greatest)
    if element == "float32":
        return None
    ends = np.iinfo(element)
    return Encoding(1.0, 0.0, int(ends.min), int(ends.max))


def choose_samples(
    imported: Imported, settings: ImportedModel, data: DataSpec | None, seed: int, base: Path
) -> tuple[Dataset, str]:
    """What to verify a network on, and in words what that is.

    Args:
        imported: the network.
        settings: what the recipe says of the model.
        data: the recipe's data set, if any.
        seed: of its split, or of random inputs.
        base: folder that relative paths start from.

    Raises:
        RequestError: the samples can't be had, or do not fit the network.
    """
    shape, classes, code = imported.shape, imported.classes, imported.code
    if settings.inputs is not None:
        path = base / Path(settings.inputs).expanduser()
        dataset = samples.from_file(path, shape, imported.normal.axes, classes, code)
        known = "with labels" if dataset.labelled else "no labels"
        return dataset, f"{len(dataset.test)} inputs of {path.name}, {known}"
    if data is not None:
        loaded = load(data, seed, base)
        dataset = samples.from_data(loaded, shape, code, settings.input is not None)
        return dataset, f"the test split of {loaded.name}, {len(dataset.test)} samples"
    count = settings.samples
    dataset = samples.at_random(shape, classes, code, imported.normal.reach, count, seed)
    return dataset, f"{count} random inputs ({imported.meaning}), seed {seed}, no labels"


def import_into(
    folder: Path,
    path: Path,
    settings: ImportedModel,
    data: DataSpec | None,
    seed: int,
    base: Path,
    note: Callable[[str], None],
) -> dict[str, object]:
    """Import a file: model.qonnx.onnx and the samples that everything is verified on.

    Args:
        folder: written to.
        path: of the file.
        settings, data, seed, base: see `choose_samples`.
        note: told how far it is.

    Returns:
        JSON: what was imported, and how far it agrees with the file's own execution.

    Raises:
        HwflowError: the file or the samples can't be taken, or the two differ.
    """
    imported = import_model(path, settings)
    dataset, verified_on = choose_samples(imported, settings, data, seed, base)
    note(f"running {path.name} as it is")
    inputs = dataset.floats(dataset.test)[:COMPARED]
    comparison: Comparison = compare(imported.file, path, imported.normal, inputs, settings.batch)
    onnx.save(imported.normal.model, str(folder / "model.qonnx.onnx"))
    samples.save(dataset, folder)
    return {
        "file": path.name,
        "format": imported.kind,
        "head": imported.normal.head,
        "top_k": imported.normal.top_k,
        "input": imported.meaning,
        "verified_on": verified_on,
        "tool": comparison.tool,
        "samples": comparison.samples,
        "undecided": comparison.undecided,
        "max_abs": comparison.max_abs,
    }
