"""Whether a pool's window is the whole image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from hwflow.costs.layers import run_once


def whole_images(
    model: nn.Module, kind: type[nn.Module], shape: tuple[int, ...]
) -> dict[str, bool]:
    """Which pools of a kind average nothing but whole images, by the names of their modules.

    Args:
        model: network, quantized or not; run once, in eval mode.
        kind: of the pools.
        shape: of one sample.
    """
    found: dict[str, bool] = {}

    def record(name: str) -> Callable[..., None]:
        def hook(pool: nn.Module, args: tuple[Any, ...]) -> None:
            image = tuple(args[0].shape[2:])
            found[name] = found.get(name, True) and covers(pool, image)

        return hook

    pools = [(name, module) for name, module in model.named_modules() if isinstance(module, kind)]
    hooks = [pool.register_forward_pre_hook(record(name)) for name, pool in pools]
    run_once(model, shape)
    for handle in hooks:
        handle.remove()
    return found


def note_shapes(traced: fx.GraphModule, example: torch.Tensor) -> None:
    """Note the shape of each value in its node's metadata, as `tensor_meta`; leaves the network in
    training mode."""
    traced.recompile()
    traced.eval()
    with torch.no_grad():
        ShapeProp(traced).propagate(example)
    traced.train()


def covers(pool: Any, image: tuple[int, ...]) -> bool:
    """Whether a pool's one window is the whole image.

    Args:
        pool: average pool.
        image: its input's size, without batch and channels.
    """
    kernel = pool.kernel_size if isinstance(pool.kernel_size, tuple) else (pool.kernel_size,)
    padding = pool.padding if isinstance(pool.padding, tuple) else (pool.padding,)
    sides = kernel * len(image) if len(kernel) == 1 else kernel
    divided = getattr(pool, "divisor_override", None)
    return sides == image and not any(padding) and divided is None
