"""Reference networks in plain torch.nn, and the user's own."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from hwflow.errors import RequestError
from hwflow.networks.fully_connected import Rescale, TensorNorm, build_fc, build_mlp
from hwflow.networks.user import build_user_network
from hwflow.recipe import FcPreset, Mlp, NetworkSpec

__all__ = ["Rescale", "TensorNorm", "build"]


def build(
    spec: NetworkSpec,
    shape: tuple[int, ...],
    classes: int,
    seed: int,
    base: Path | None = None,
) -> nn.Module:
    """Build the network that a recipe names, its initial weights fixed by the seed.

    Args:
        spec: the recipe's `network`.
        shape: of one sample.
        classes: number of logits.
        seed: of the initial weights.
        base: folder that a user's file is relative to.

    Raises:
        RequestError: a user's network can't be built, or its output is not (N, classes).
    """
    torch.manual_seed(seed)
    if isinstance(spec, Mlp):
        return build_mlp(spec, shape, classes)
    if isinstance(spec, FcPreset):
        return build_fc(spec, shape, classes)
    network = build_user_network(spec, shape, classes, base)
    _probe(network, spec.python, shape, classes)
    return network


def _probe(network: nn.Module, name: str, shape: tuple[int, ...], classes: int) -> None:
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            out = network(torch.zeros(2, *shape))
    except Exception as error:
        raise RequestError(
            f"network.python: {name} fails on inputs of shape (2, {', '.join(map(str, shape))}):"
            f" {type(error).__name__}: {error}",
            hint="its forward takes (N, *shape)",
        ) from error
    network.train(training)
    if tuple(getattr(out, "shape", ())) != (2, classes):
        raise RequestError(
            f"network.python: {name} makes {tuple(getattr(out, 'shape', ()))} of two samples,"
            f" not (2, {classes})",
            hint="end with one logit for each class",
        )
