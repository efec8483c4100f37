"""Layers that are not trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from torch import nn

from hwflow.compress.patterns import matched


class Still(Callback):
    """Keeps layers in eval mode while others train: running statistics stay as they are.

    Args:
        layers: of the network that is trained.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self.layers = layers

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Set them to eval mode."""
        for layer in self.layers:
            layer.eval()


@contextlib.contextmanager
def frozen(model: nn.Module, patterns: Sequence[str]) -> Iterator[Still]:
    """Layers' parameters get no gradients in the block.

    Args:
        model: network.
        patterns: of the layers' names.

    Yields:
        A callback that keeps their running statistics too.

    Raises:
        RequestError: a pattern matches no layer with parameters.
    """
    names = layers_matched(model, patterns, "freeze")
    layers = [model.get_submodule(name) for name in sorted(names)]
    learnt = [p for layer in layers for p in layer.parameters() if p.requires_grad]
    for parameter in learnt:
        parameter.requires_grad_(False)
    try:
        yield Still(layers)
    finally:
        for parameter in learnt:
            parameter.requires_grad_(True)


def layers_matched(model: nn.Module, patterns: Sequence[str], where: str) -> set[str]:
    """Names of the layers, of those that have parameters of their own, that patterns match.

    Args:
        model: network.
        patterns: regular expressions.
        where: they stand in the recipe, in messages.

    Raises:
        RequestError: one matches none.
    """
    names = [
        name
        for name, module in model.named_modules()
        if name and next(module.parameters(recurse=False), None) is not None
    ]
    return {name for pattern in patterns for name in matched(pattern, names, where)}
