"""Networks of the user's own, from a Python file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Any

from torch import nn

from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError
from hwflow.recipe import PythonNetwork


def build_user_network(
    spec: PythonNetwork, shape: tuple[int, ...], classes: int, base: Path | None
) -> nn.Module:
    """Call `function(shape, classes, **args)` of the user's file.

    Raises:
        RequestError: no such file or function, it raises, or returns no module.
    """
    file_name, _, name = spec.python.rpartition(":")
    path = (base or Path()) / file_name
    if not path.is_file():
        raise RequestError(f"network.python: {path}: no such file", hint="check the path")
    module = _run(lambda: _import(path), path, spec)
    function = getattr(module, name, None)
    if not callable(function):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise RequestError(
            f"network.python: {path} has no function {name!r}", hint=nearest(name, names)
        )
    network = _run(lambda: function(shape, classes, **spec.args), path, spec)
    if not isinstance(network, nn.Module):
        raise RequestError(
            f"network.python: {spec.python} returned {type(network).__name__}, no torch.nn.Module",
            hint="return the network",
        )
    return network


def _import(path: Path) -> Any:
    found = importlib.util.spec_from_file_location(f"hwflow_user_{path.stem}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


def _run(call: Any, path: Path, spec: PythonNetwork) -> Any:
    try:
        return call()
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if Path(f.filename) == path]
        if isinstance(error, SyntaxError):
            lines = [error.lineno]
        where = f"{path}:{lines[-1]}" if lines else str(path)
        raise RequestError(
            f"network.python: {where}: {type(error).__name__}: {error}",
            hint=f"{spec.python} is called as function(shape, classes, **args)",
        ) from error
