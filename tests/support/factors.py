"""What the factors of a decomposition make together."""

import torch


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
