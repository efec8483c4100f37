"""Reading recipes: from a file or by name, or made for a model file, with settings overridden on
the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hwflow.config import shipped
from hwflow.config.yaml_source import Key, Source, check, load_yaml, nearest
from hwflow.errors import RequestError
from hwflow.recipe import Recipe
from hwflow.recipe.order import earlier_stage, first_misplaced

MODEL = ".onnx"  # Suffix of model files.


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and the folder that its relative paths start from."""

    recipe: Recipe
    base: Path


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read a recipe.

    Args:
        name_or_path: a file, or the name of a shipped recipe, or a model file (.onnx), for which
            all settings have their defaults.
        overrides: `a.b=value` settings; a stage is addressed by its kind (`stages.train.epochs`)
            or its place (`stages.0.epochs`); values are YAML.

    Raises:
        RequestError: no such recipe, or a mistake in it or in an override: file, line, key,
            what was expected and the nearest valid name.
    """
    path = _find(name_or_path)
    source = _for_model(path) if path.suffix == MODEL else load_yaml(path)
    source.data.setdefault("name", _build_name(path.stem))
    for override in overrides:
        _override(source, override)
    recipe = check(Recipe, source)
    _check_origin(recipe, source)
    misplaced = first_misplaced(recipe.stages)
    if misplaced is not None:
        location = source.place(("stages", misplaced.index))
        raise RequestError(f"{location}: {misplaced.reason}", hint=misplaced.remedy)
    _check_teachers(recipe, source)
    return LoadedRecipe(recipe, path.parent.resolve())


def _for_model(path: Path) -> Source:
    """The recipe that a model file alone means."""
    source = Source(str(path), {"model": {"qonnx": path.name}})
    if not path.exists():
        raise RequestError(f"{path}: no such file", hint="check the path of the model")
    return source


def _build_name(stem: str) -> str:
    """A name for a build from that of a file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("._-") or "model"


def _check_origin(recipe: Recipe, source: Source) -> None:
    """See that the recipe has a model file, or else data, a network and stages."""
    parts = {"data": recipe.data, "network": recipe.network, "stages": recipe.stages}
    if recipe.model is None:
        if "stages" in source.data:  # None of them, [], is a choice.
            del parts["stages"]
        missing = [key for key, part in parts.items() if not part]
        if missing:
            location = source.place(())
            text = [f"{location}: the key `{key}` is missing" for key in missing]
            hint = Recipe.model_fields[missing[0]].description
            raise RequestError("\n".join(text), hint=f"{hint} Or give a `model`.")
        return
    for key in ("network", "stages"):
        if parts[key]:
            raise RequestError(
                f"{source.place((key,))}: a recipe with `model` has no `{key}`",
                hint="leave one of the two out",
            )
    if recipe.model.inputs is not None and recipe.data is not None:
        raise RequestError(
            f"{source.place(('model', 'inputs'))}: there is `data` too",
            hint="verify on one of the two",
        )


def _check_teachers(recipe: Recipe, source: Source) -> None:
    """See that teachers that are earlier stages are there."""
    for index, stage in enumerate(recipe.stages):
        for number, teacher in enumerate(stage.teachers):
            if teacher.stage is not None:
                key = ("stages", index, "distillation", "teachers", number, "stage")
                earlier_stage(teacher.stage, recipe.stage_names[:index], source.place(key))


def resolved_yaml(recipe: Recipe) -> str:
    """The recipe with all defaults filled in."""
    return str(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.is_file() or path.suffix in {".yaml", ".yml", MODEL} or "/" in name_or_path:
        if not path.exists() and path.parent.name == "recipes":
            return _shipped(path.stem, name_or_path)
        return path
    return _shipped(name_or_path, name_or_path)


def _shipped(name: str, asked: str) -> Path:
    """A shipped recipe; `recipes/NAME.yaml` means it too, wherever hwflow is installed."""
    files = shipped.files("recipes")
    if name not in files:
        raise RequestError(
            f"there is no recipe {asked!r}",
            hint=nearest(name, files) + "; or give the path of a recipe file",
        )
    return files[name]


def _override(source: Source, override: str) -> None:
    name, equals, text = override.partition("=")
    keys = [part.strip() for part in name.split(".")]
    where = f"--set {override}"
    if not equals or not all(keys):
        raise RequestError(f"{where}: this is not KEY=VALUE", hint="for example seed=1")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RequestError(f"{where}: the value is not YAML", hint="quote it") from error
    data: Any = source.data
    path: list[Key] = []
    for index, key in enumerate(keys):
        if isinstance(data, list):
            element: Key = _element(data, key, where)
        elif isinstance(data, dict):
            element = key
        else:
            raise RequestError(f"{where}: {'.'.join(map(str, path))} holds no keys")
        path.append(element)
        if index == len(keys) - 1:
            data[element] = value
            source.given[tuple(path)] = where
        else:
            if isinstance(data, dict):
                data.setdefault(element, {})
            data = data[element]


def _element(items: list[Any], key: str, where: str) -> int:
    """Index of a stage: a number, or the kind of the stage."""
    kinds = [item.get("kind") if isinstance(item, dict) else None for item in items]
    if key in kinds:
        return kinds.index(key)
    if key.isdigit() and int(key) < len(items):
        return int(key)
    raise RequestError(f"{where}: there is no {key!r}", hint=nearest(key, filter(None, kinds)))
