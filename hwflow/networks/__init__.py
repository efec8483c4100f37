"""Reference networks in plain torch.nn, and the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from hwflow.errors import RequestError
from hwflow.networks.convolutional import (
    build_cnn5,
    build_cnv,
    build_mobilenet,
    build_vgg10_1d,
)
from hwflow.networks.dense import build_densenet
from hwflow.networks.fully_connected import Rescale, TensorNorm, build_fc, build_mlp
from hwflow.networks.libraries import build_torchvision, build_transformers
from hwflow.networks.recurrent import without_copies
from hwflow.networks.residual import PLANS, build_residual
from hwflow.networks.user import build_user_network
from hwflow.recipe import FcPreset, Mlp, NetworkSpec, PythonNetwork
from hwflow.recipe.network import (
    Convolutional,
    MobileNet,
    TorchvisionNetwork,
    TransformersNetwork,
    network_name,
)

CONVOLUTIONAL: dict[str, Callable[[tuple[int, ...], int], nn.Module]] = {
    "cnn5": build_cnn5,
    "cnv": build_cnv,
    "vgg10_1d": build_vgg10_1d,
    "densenet100": build_densenet,
}

__all__ = ["Rescale", "TensorNorm", "build", "without_copies"]


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
        RequestError: the network can't be built or takes no such samples, or its output is not
            (N, classes).
    """
    torch.manual_seed(seed)
    if isinstance(spec, Mlp):
        return build_mlp(spec, shape, classes)
    if isinstance(spec, FcPreset):
        return build_fc(spec, shape, classes)
    where = f"network: {network_name(spec)}"
    network = _guarded(lambda: _build(spec, shape, classes, base), where, shape)
    _probe(network, where, shape, classes)
    return network


def _build(spec: NetworkSpec, shape: tuple[int, ...], classes: int, base: Path | None) -> nn.Module:
    if isinstance(spec, PythonNetwork):
        return without_copies(build_user_network(spec, shape, classes, base))
    if isinstance(spec, TorchvisionNetwork):
        return build_torchvision(spec, classes)
    if isinstance(spec, TransformersNetwork):
        return build_transformers(spec, shape, classes, base)
    dimensions = 2 if getattr(spec, "name", "") == "vgg10_1d" else 3
    if len(shape) != dimensions:
        wanted = "(channels, length)" if dimensions == 2 else "(channels, height, width)"
        raise RequestError(
            f"network: {network_name(spec)} takes samples of {wanted}, not {shape}",
            hint="choose another network, or another data set",
        )
    if isinstance(spec, MobileNet):
        return build_mobilenet(spec.width, shape, classes)
    assert isinstance(spec, Convolutional)
    if spec.name in PLANS:
        return build_residual(PLANS[spec.name], shape, classes)
    return CONVOLUTIONAL[spec.name](shape, classes)


def _guarded(make: Callable[[], nn.Module], where: str, shape: tuple[int, ...]) -> nn.Module:
    """Call a builder; what torch says of a sample that is too small is an error of the recipe."""
    try:
        return make()
    except RuntimeError as error:
        raise _too_small(where, shape, error) from error


def _probe(network: nn.Module, where: str, shape: tuple[int, ...], classes: int) -> None:
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            out = network(torch.zeros(2, *shape))
    except Exception as error:
        raise _too_small(where, shape, error) from error
    network.train(training)
    if tuple(getattr(out, "shape", ())) != (2, classes):
        raise RequestError(
            f"{where} makes {tuple(getattr(out, 'shape', ()))} of two samples, not (2, {classes})",
            hint="end with one logit for each class",
        )


def _too_small(where: str, shape: tuple[int, ...], error: Exception) -> RequestError:
    return RequestError(
        f"{where} fails on inputs of shape (2, {', '.join(map(str, shape))}):"
        f" {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        hint="its forward takes (N, *shape); smaller networks take smaller samples",
    )
