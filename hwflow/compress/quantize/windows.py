"""Whether a pool's window is the whole image."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp


def note_shapes(traced: fx.GraphModule, example: torch.Tensor) -> None:
    """Note the shape of each value in its node's metadata, as `tensor_meta`; leaves the network in
    training mode."""
    traced.recompile()
    traced.eval()
    with torch.no_grad():
        shapes: Any = ShapeProp
        shapes(traced).propagate(example)
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
