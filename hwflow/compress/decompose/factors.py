"""What a weight is decomposed into: the weights of layers in a row."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Factors:
    """A decomposed weight.

    Attributes:
        weights: (outputs, inputs of a group, taps) of each factor, float64, in order of use. A
            depthwise factor has one input a group.
        error: ||W - W'|| / ||W||.
        errors: the same after each sweep of an iterative method, the start first.
    """

    weights: tuple[torch.Tensor, ...]
    error: float
    errors: tuple[float, ...] = ()
