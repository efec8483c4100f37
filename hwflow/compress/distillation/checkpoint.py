"""Weights of a teacher from a file that others wrote."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from hwflow.costs import layer_shapes
from hwflow.errors import RequestError

# What training frameworks put before the names of a network's parameters.
_PREFIXES = ("", "model.", "module.")


def load_weights(model: nn.Module, path: Path, where: str, shape: tuple[int, ...]) -> None:
    """Load a network's weights from a file.

    Args:
        model: network, changed in place.
        path: safetensors, or a state dict saved by torch (also as `state_dict` in a larger
            dictionary, as Lightning does); read with `weights_only`, so that no code in it runs.
        where: what the file is for, in messages.
        shape: of one sample.

    Raises:
        RequestError: the file is missing, damaged, or of another network or other classes.
    """
    state = _unwrapped(_read(path, where), model)
    _check(model, state, f"{where}: {path}", shape)
    model.load_state_dict(state)


def _read(path: Path, where: str) -> Mapping[str, Any]:
    if not path.is_file():
        raise RequestError(f"{where}: {path}: no such file", hint="check the path")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Bytes that are no checkpoint fail in all ways there are.
        foreign = isinstance(error, pickle.UnpicklingError)
        reason = "it holds more than tensors, or is damaged" if foreign else str(error)
        raise _unreadable(path, where, reason) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise _unreadable(path, where, "it is no state dict")
    return state


def _unreadable(path: Path, where: str, reason: str) -> RequestError:
    line = next(iter(reason.splitlines()), "it is damaged")
    return RequestError(
        f"{where}: {path}: the checkpoint can't be read: {line}",
        hint="give safetensors, or what torch.save(model.state_dict(), FILE) wrote",
    )


def _unwrapped(state: Mapping[str, Any], model: nn.Module) -> dict[str, torch.Tensor]:
    """The network's own entries, under its own names."""
    wanted = set(model.state_dict())
    for prefix in _PREFIXES:
        entries = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if wanted <= set(entries):
            return entries if prefix == "" else {name: entries[name] for name in wanted}
    return dict(state)


def _check(
    model: nn.Module, state: Mapping[str, torch.Tensor], where: str, shape: tuple[int, ...]
) -> None:
    """Raise if the weights are not the network's."""
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    hint = "give the network, with its options, that the checkpoint was saved from"
    missing, strange = [n for n in wanted if n not in state], [n for n in state if n not in wanted]
    if missing or strange:
        what = f"has no {missing[0]!r}" if missing else f"has {strange[0]!r}, the network has not"
        raise RequestError(f"{where} is of another network: it {what}", hint=hint)
    other = [name for name, size in wanted.items() if tuple(state[name].shape) != size]
    if not other:
        return
    output = layer_shapes(model, shape)[-1].name
    if all(name.rpartition(".")[0] == output for name in other):
        taught, classes = len(state[other[0]]), wanted[other[0]][0]
        raise RequestError(
            f"{where} is of a teacher of {taught} classes; the data have {classes}",
            hint="teach with a network of the same classes",
        )
    raise RequestError(
        f"{where} is of another network: {other[0]} is {tuple(state[other[0]].shape)} there, and"
        f" {wanted[other[0]]} in the network",
        hint=hint,
    )
