"""What a build is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwflow.board import Board, load_board
from hwflow.costs import target_cycles
from hwflow.engine.artifacts import write_whole
from hwflow.engine.run_directory import OWN
from hwflow.errors import RequestError
from hwflow.recipe import Recipe
from hwflow.recipe.loading import LoadedRecipe, load_recipe, resolved_yaml

FILE = "request.json"


@dataclass(frozen=True)
class Request:
    """A recipe for a board.

    Attributes:
        loaded: the recipe and where it lies.
        board: what to build for.
        run_dir: where everything goes.
    """

    loaded: LoadedRecipe
    board: Board
    run_dir: Path

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.loaded.recipe

    @property
    def base(self) -> Path:
        """The folder that the recipe's relative paths start from."""
        return self.loaded.base

    @property
    def source(self) -> str:
        """The step that leaves the quantized network, model.qonnx.onnx."""
        return "export" if self.recipe.model is None else "import"

    @property
    def title(self) -> str:
        """What is built, in words."""
        return f"{self.recipe.name} for {self.board.name}"


def prepare(
    recipe: str,
    board: str,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    inputs: Path | None = None,
) -> Request:
    """Read everything that a build asks for, before any work.

    Args:
        recipe: name or path of a recipe, or path of a model file (.onnx).
        board: name or path.
        out: run directory; default `runs/<recipe>-<board>`.
        overrides: `key=value` settings.
        inputs: file of inputs to verify a model on, instead of the recipe's.

    Raises:
        RequestError: what is wrong with the request.
    """
    if inputs is not None:
        overrides = [*overrides, f"model.inputs={json.dumps(str(inputs.resolve()))}"]
    loaded, loaded_board = load_recipe(recipe, overrides), load_board(board)
    target_cycles(loaded.recipe.hardware, loaded_board)
    folding = loaded.recipe.hardware.folding
    if folding is not None and not (loaded.base / folding).is_file():
        raise RequestError(
            f"hardware.folding: {loaded.base / folding}: no such file",
            hint="it is relative to the recipe's folder",
        )
    run_dir = out or Path("runs") / f"{loaded.recipe.name}-{loaded_board.name}"
    return Request(loaded, loaded_board, run_dir)


def save_request(request: Request) -> None:
    """Leave what was asked for in the run directory, so that the run can be opened again."""
    content = {
        "recipe": request.recipe.model_dump(mode="json"),
        "board": request.board.model_dump(mode="json"),
        "base": str(request.base),
    }
    write_whole(request.run_dir / "recipe.yaml", resolved_yaml(request.recipe).encode())
    write_whole(request.run_dir / OWN / FILE, json.dumps(content).encode())


def load_request(run_dir: Path) -> Request:
    """The request that a run directory is of.

    Raises:
        RequestError: it is none.
    """
    try:
        content = json.loads((run_dir / OWN / FILE).read_text())
        recipe = Recipe.model_validate(content["recipe"])
        board = Board.model_validate(content["board"])
        base = Path(content["base"])
    except (OSError, ValueError, KeyError) as error:
        raise RequestError(
            f"{run_dir} is no run directory", hint="give one that `hwflow build` made"
        ) from error
    return Request(LoadedRecipe(recipe, base), board, run_dir)


def repetition_folder(repetition: int) -> str:
    """Folder in the run directory of a repetition's stages; the first's are in that itself."""
    return f"seeds/{repetition + 1}" if repetition else ""
