"""Networks of the user's own, from a Python file."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from torch import nn

from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError
from hwflow.networks.builder import Builder
from hwflow.networks.recurrent import without_copies
from hwflow.networks.user_files import importing_from, is_users
from hwflow.recipe import PythonNetwork

Result = TypeVar("Result")


def build_user_network(
    spec: PythonNetwork, shape: tuple[int, ...], classes: int, base: Path | None
) -> nn.Module:
    """Call `function(shape, classes, **args)` of the user's file, which is loaded anew, as are the
    modules beside it and in the recipe's folder that it imports.

    Raises:
        RequestError: no such file or function, it raises or exits, or returns no module.
    """
    path = (base or Path()) / spec.file
    if not path.is_file():
        raise RequestError(f"network.python: {path}: no such file", hint="check the path")
    folders = [path.parent, *([base] if base is not None else [])]
    with importing_from(folders):
        module = _run(lambda: _import(path), path, folders, spec)
        function = getattr(module, spec.function, None)
        if not callable(function):
            names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
            raise RequestError(
                f"network.python: {path} has no function {spec.function!r}",
                hint=nearest(spec.function, names),
            )
        network = _run(lambda: function(shape, classes, **spec.args), path, folders, spec)
    if not isinstance(network, nn.Module):
        raise RequestError(
            f"network.python: {spec.python} returned {type(network).__name__}, no torch.nn.Module",
            hint="return the network",
        )
    return without_copies(network)


def _import(path: Path) -> ModuleType:
    module_spec = importlib.util.spec_from_file_location(f"hwflow_user_{path.stem}", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    module_spec.loader.exec_module(module)
    return module


def _run(
    call: Callable[[], Result], path: Path, folders: list[Path], spec: PythonNetwork
) -> Result:
    try:
        return call()
    except (Exception, SystemExit) as error:
        hint = f"{spec.python} is called as function(shape, classes, **args)"
        if isinstance(error, ModuleNotFoundError):
            hint = f"install it, or put it into {path.parent.resolve()}"
        raise RequestError(
            f"network.python: {_place(error, path, folders)}: {type(error).__name__}: {error}",
            hint=hint,
        ) from error


def _place(error: BaseException, path: Path, folders: list[Path]) -> str:
    """`file:line` of the user's that an error is from, the innermost; else the file."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(frame.filename, frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError) and error.filename is not None:
        places.append((error.filename, error.lineno))
    absolute = [os.path.abspath(folder) for folder in folders]
    for file, line in reversed(places):
        if is_users(os.path.abspath(file), absolute):
            return f"{file}:{line}"
    return str(path)


BUILDER = Builder(PythonNetwork, build_user_network)
