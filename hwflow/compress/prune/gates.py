"""Gates: scores of units and the masks that follow from them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

# Hard concrete distribution (Louizos 2018, section 4.1): temperature and stretch.
BETA, LOW, HIGH = 2 / 3, -0.1, 1.1
# Log-odds that turn scores into the chance of an open gate (equation 12).
SHIFT = BETA * math.log(-LOW / HIGH)
# Bounds of the noise, whose logarithms stay finite.
NOISE = (1e-4, 0.9999)


class _StraightThrough(torch.autograd.Function):
    """A mask, with the gradient of the scores that it came from (Sanh 2020, section 3)."""

    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        return keep.to(scores.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0], None


class Gates(nn.Module):
    """A score for each unit, and which units are kept.

    Who keeps them is decided outside, from the scores, once a step (`selection`); the mask's
    gradient goes straight through to the scores.

    Args:
        shape: of the scores.
        start: their first value.
        learns: whether they are trained.
    """

    keep: torch.Tensor

    def __init__(self, shape: tuple[int, ...], start: float, learns: bool = True) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.full(shape, start), requires_grad=learns)
        self.register_buffer("keep", torch.ones(shape, dtype=torch.bool))

    def forward(self) -> torch.Tensor:
        """The mask, of the scores' shape: 0 or 1."""
        straight_through: Any = _StraightThrough
        mask: torch.Tensor = straight_through.apply(self.scores, self.keep)
        return mask

    def draw(self) -> None:
        """Begin a step; these gates have no noise."""


class HardConcreteGates(Gates):
    """Gates between 0 and 1 that are drawn anew in each step, both ends with a chance of their own
    (Louizos 2018, section 4.1). In eval mode they have their deterministic value (equation 13)."""

    noise: torch.Tensor
    forced: torch.Tensor

    def __init__(self, shape: tuple[int, ...], start: float) -> None:
        super().__init__(shape, start)
        # All units of a step's layers must see the same draw, so it is kept.
        self.register_buffer("noise", torch.full(shape, 0.5), persistent=False)
        # Units that a floor keeps although their gates have closed.
        self.register_buffer("forced", torch.zeros(shape, dtype=torch.bool))

    def forward(self) -> torch.Tensor:
        """The mask, of the scores' shape: in [0, 1]."""
        if not self.training:
            return self.value() * self.keep
        logits = self.noise.logit() + self.scores
        return _stretched(torch.sigmoid(logits / BETA)) * self.keep

    def value(self) -> torch.Tensor:
        """What the gates are without noise; those that a floor keeps open are not stretched, so
        that something passes them."""
        chance = torch.sigmoid(self.scores)
        return torch.where(self.forced, chance, _stretched(chance))

    def draw(self) -> None:
        """New noise for a step."""
        self.noise.uniform_(*NOISE)


def open_chance(scores: torch.Tensor) -> torch.Tensor:
    """The chance that a hard concrete gate of these scores is not 0 (equation 12)."""
    return torch.sigmoid(scores - SHIFT)


def _stretched(gate: torch.Tensor) -> torch.Tensor:
    return (gate * (HIGH - LOW) + LOW).clamp(0, 1)
