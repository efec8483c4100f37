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


def compose(weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The weight (outputs, inputs, taps) that factors make together.

    Args:
        weights: of factors in order of use, of which one at the most has several taps.
    """
    product = weights[0]
    for weight in weights[1:]:
        if weight.shape[1] == 1 and len(product) == len(weight):
            product = torch.einsum("ra,rib->riab", weight[:, 0], product)
        else:
            product = torch.einsum("ora,rib->oiab", weight, product)
        product = product.flatten(2)
    return product
