"""The check of a recipe, and that of a model file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hwflow.board import Board
from hwflow.build.checking.accelerator import Accelerator, divided, folded
from hwflow.build.checking.outcome import Check, Estimates
from hwflow.build.checking.stages import pass_stages
from hwflow.costs import clock_mhz
from hwflow.errors import HwflowError, RequestError, ToolError
from hwflow.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from hwflow.compress import Untrained
    from hwflow.data import Dataset

NOT_QUANTIZED = "the recipe has no stage `quantize`"
FILES = "the exported files"


def check_recipe(
    recipe: Recipe, board: Board, data: Dataset, model: nn.Module, base: Path, folder: Path
) -> Check:
    """Find out what a recipe's build would be, by doing it with the untrained network.

    Args:
        recipe: with stages.
        board: to build for.
        data: the recipe's data set, of which few samples are looked at.
        model: the recipe's network, not trained; left as it is.
        base: folder that paths in the recipe are relative to.
        folder: for files on the way; must exist, and nothing in it is needed afterwards.

    Raises:
        HwflowError: a stage can't take the network, hardware does not, or the folding can't be
            had; names the layer, why, and what to do. See `check_fits` for the board.
    """
    import onnx

    from hwflow.compress.quantize.tracing import made_of_brevitas
    from hwflow.exchange.export import export, export_qonnx
    from hwflow.exchange.importing.importer import normalised
    from hwflow.host.input_codes import input_code

    passed = pass_stages(recipe, board, data, model, base)
    if not recipe.is_exported:
        return _ended(recipe, board, passed, NOT_QUANTIZED)
    if not recipe.stages and not made_of_brevitas(model):
        raise RequestError(
            "the network has no quantized layers, and no stage gives it some",
            hint="add a stage, for example `stages: [{kind: quantize, epochs: 0}]`",
        )
    _check_request(recipe, board, data.classes)
    ends = recipe.why_export_ends
    with _refusing(f"set target: export in stage quantize, and the build ends with {FILES}"):
        if ends is not None:
            export(passed.model, data.shape, folder)
            return _ended(recipe, board, passed, ends)
        _check_quantized_parts(passed.model)
        network = normalised(onnx.load(str(export_qonnx(passed.model, data.shape, folder)))).model
        division = divided(network, input_code(data), recipe.hardware, None)
    with _refusing(None):
        accelerator = folded(division, recipe.hardware, None, board, base)
    return _goes_on(recipe, board, accelerator, passed)


def check_model_file(recipe: Recipe, board: Board, base: Path) -> Check:
    """Find out what the build of a model file would be.

    Args:
        recipe: with `model`.
        board: to build for.
        base: folder that paths in the recipe are relative to.

    Raises:
        HwflowError: see `check_recipe`; also where the file or the samples can't be taken.
    """
    from hwflow.exchange.importing.importer import choose_samples, import_model
    from hwflow.host.input_codes import input_code

    settings = recipe.model
    assert settings is not None
    imported = import_model(base / Path(settings.qonnx).expanduser(), settings)
    data, _ = choose_samples(imported, settings, recipe.data, recipe.seed, base)
    _check_request(recipe, board, data.classes)
    normal = imported.normal
    with _refusing(None):
        division = divided(normal.model, input_code(data), recipe.hardware, normal.top_k)
        accelerator = folded(division, recipe.hardware, normal.top_k, board, base)
    return _goes_on(recipe, board, accelerator)


def _check_request(recipe: Recipe, board: Board, classes: int) -> None:
    """What of a request is wrong whatever the network is."""
    from hwflow.build.top_k import check_top_k
    from hwflow.costs import target_cycles
    from hwflow.simulate.compile import check_compiler

    target_cycles(recipe.hardware, board)
    check_top_k(recipe.hardware, classes)
    check_compiler()


def _check_quantized_parts(model: nn.Module) -> None:
    """Refuse at once what would be unrolled into thousands of operations that hardware lacks.

    Raises:
        RequestError: names the layer.
    """
    from hwflow.compress.quantize.tracing import quantized_whole

    layer = quantized_whole(model)
    if layer is not None:
        raise RequestError(
            f"{layer}: attention and recurrent layers can't be lowered",
            hint="use linear and convolutional layers",
        )


@contextmanager
def _refusing(otherwise: str | None) -> Iterator[None]:
    """What hardware does not take is an error of the request, while nothing has been trained.

    Args:
        otherwise: what else can be done; None: nothing.
    """
    try:
        yield
    except ToolError:
        raise
    except HwflowError as error:
        hints = [hint for hint in (error.hint, otherwise) if hint]
        raise RequestError(error.message, hint="; or ".join(hints) or None) from error


def _ended(recipe: Recipe, board: Board, passed: Untrained, why: str) -> Check:
    return Check(
        recipe=recipe.name,
        board=board.name,
        assumptions=passed.assumptions,
        ends=why,
        clock_mhz=clock_mhz(recipe.hardware, board),
        available=_available(board),
    )


def _goes_on(
    recipe: Recipe, board: Board, accelerator: Accelerator, passed: Untrained | None = None
) -> Check:
    return Check(
        recipe=recipe.name,
        board=board.name,
        assumptions=() if passed is None else passed.assumptions,
        may_shrink=passed is not None and passed.may_shrink,
        clock_mhz=clock_mhz(recipe.hardware, board),
        bound_cycles=accelerator.bound_cycles,
        layers=accelerator.layers,
        estimates=accelerator.estimates,
        available=_available(board),
        host=accelerator.host,
    )


def _available(board: Board) -> Estimates:
    resources = board.resources.model_dump()
    return Estimates(**{key: resources[key] for key in Estimates.model_fields})
