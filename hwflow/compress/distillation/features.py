"""What layers of a network put out while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hwflow.config.yaml_source import nearest
from hwflow.costs.layers import run_once
from hwflow.errors import RequestError

_POOLS: dict[int, Callable[..., torch.Tensor]] = {
    1: functional.adaptive_avg_pool1d,
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}


def check_layers(model: nn.Module, names: Iterable[str], where: str) -> None:
    """See that a network has all layers that are named.

    Raises:
        RequestError: it lacks one; offers the nearest.
    """
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            raise RequestError(f"{where} has no layer {name!r}", hint=nearest(name, known))


@contextlib.contextmanager
def captured(model: nn.Module, names: Iterable[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Features of layers, filled in as the network runs in the block.

    Of a layer that runs several times, the last output counts. Hooks are gone after the block, so
    that the network can be copied and exported.

    Args:
        model: network.
        names: of its layers.

    Yields:
        (B, C, *positions) of each layer that ran.
    """
    features: dict[str, torch.Tensor] = {}
    names = set(names)
    last = bool(names) and channels_last(model)

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            features[name] = as_features(output, last)

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield features
    finally:
        for handle in hooks:
            handle.remove()


def channels_last(model: nn.Module) -> bool:
    """Whether outputs of three dimensions are (B, tokens, C): with 1-D convolutions they are
    (B, C, positions)."""
    return not any(isinstance(module, nn.Conv1d) for module in model.modules())


def as_features(output: Any, last: bool) -> torch.Tensor:
    """A layer's output as (B, C, *positions).

    Args:
        output: a tensor, a quantized one, or a tuple that begins with one (attention).
        last: whether channels come last where there are three dimensions.
    """
    carried = getattr(output, "value", output)
    value: torch.Tensor = carried if isinstance(carried, torch.Tensor) else carried[0]
    return value.transpose(1, 2) if last and value.ndim == 3 else value


def feature_shapes(
    model: nn.Module, names: Iterable[str], shape: tuple[int, ...], where: str
) -> dict[str, tuple[int, ...]]:
    """(C, *positions) of layers, from a run on a sample of zeros.

    Raises:
        RequestError: there is no such layer, or the network does not run it.
    """
    names = list(names)
    check_layers(model, names, where)
    with captured(model, names) as layer_features:
        run_once(model, shape)
    for name in names:
        if name not in layer_features:
            raise RequestError(
                f"{where} has a layer {name!r} but does not run it",
                hint="name a layer that its forward calls",
            )
    return {name: tuple(features.shape[1:]) for name, features in layer_features.items()}


def pooled(features: torch.Tensor, positions: tuple[int, ...]) -> torch.Tensor:
    """Features (B, C, *larger) averaged down to (B, C, *positions)."""
    if tuple(features.shape[2:]) == positions:
        return features
    return _POOLS[len(positions)](features, positions)
