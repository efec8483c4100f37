"""Reference networks in plain torch.nn, a module each kind, the user's own, and those of installed
packages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path

import torch
from torch import nn

from hwflow.errors import RequestError
from hwflow.networks.builder import BUILDERS, Builder
from hwflow.networks.fully_connected import Rescale, TensorNorm
from hwflow.networks.recurrent import without_copies
from hwflow.networks.user_files import files_read
from hwflow.recipe import Network

__all__ = [
    "BUILDERS",
    "Builder",
    "Rescale",
    "TensorNorm",
    "build",
    "following",
    "without_copies",
]

_follow: ContextVar[Callable[[Iterable[Path]], None]] = ContextVar(
    "follow", default=lambda files: None
)


def build(
    spec: Network,
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
    where = f"network: {spec.called}"
    builder = BUILDERS.implementation(spec)
    with files_read(base or Path()) as files:
        network = _guarded(lambda: builder.build(spec, shape, classes, base), where, shape)
        _probe(network, where, shape, classes)
    _follow.get()(files)
    return network


@contextlib.contextmanager
def following(follow: Callable[[Iterable[Path]], None]) -> Iterator[None]:
    """Tell which of the user's files are read to build networks, in this context and thread.

    Args:
        follow: called with the absolute paths, once for each network that is built.
    """
    token = _follow.set(follow)
    try:
        yield
    finally:
        _follow.reset(token)


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
    except (Exception, SystemExit) as error:
        raise _too_small(where, shape, error) from error
    network.train(training)
    if isinstance(out, tuple | list | dict):
        raise RequestError(
            f"{where} returns a {type(out).__name__} of {len(out)}, not a tensor of logits",
            hint="let it return one tensor of logits",
        )
    if tuple(getattr(out, "shape", ())) != (2, classes):
        raise RequestError(
            f"{where} makes {tuple(getattr(out, 'shape', ()))} of two samples, not (2, {classes})",
            hint="end with one logit for each class",
        )


def _too_small(where: str, shape: tuple[int, ...], error: BaseException) -> RequestError:
    return RequestError(
        f"{where} fails on inputs of shape (2, {', '.join(map(str, shape))}):"
        f" {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        hint="its forward takes (N, *shape); smaller networks take smaller samples",
    )
