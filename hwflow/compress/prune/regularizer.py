"""The loss of a stage that prunes: its objective, and what pulls scores down."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from hwflow.compress.prune.gates import open_chance
from hwflow.compress.prune.plan import Subject
from hwflow.compress.training import Batch, Objective
from hwflow.recipe.stages.prune import Regularizer


class RegularizedLoss(nn.Module):
    """objective + share x weight x (sum over kinds of layers of factor x mean penalty).

    The penalty of a score S is sigmoid(S) for l1, and for l0 the chance of an open gate,
    sigmoid(S - (2/3) ln(0.1/1.1)) (Louizos 2018, equation 12). Scores are no parameters of this
    module: they belong to the network.

    Args:
        objective: what is minimised otherwise.
        subjects: whose scores are pulled down.
        settings: kind, weight and factors; None: only the objective.
    """

    def __init__(
        self, objective: Objective, subjects: Sequence[Subject], settings: Regularizer | None
    ) -> None:
        super().__init__()
        self.objective, self.settings = objective, settings
        self.subjects = [s for s in subjects if s.gates.scores.requires_grad]
        # How far the schedule is: tau(t) / tau_f.
        self.share = 0.0

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Loss of a network on a batch, averaged over its samples."""
        loss = self.objective(model, batch)
        if self.settings is None or self.share == 0:
            return loss
        return loss + self.share * self.settings.weight * self.penalty(self.settings)

    def penalty(self, settings: Regularizer) -> torch.Tensor:
        """The sum over kinds, without weight and schedule."""
        penalty = torch.sigmoid if settings.kind == "l1" else open_chance
        total = self.subjects[0].gates.scores.new_zeros(())
        factors = {
            "attention": settings.attention,
            "dense": settings.dense,
            "conv": settings.conv,
        }
        for kind, factor in factors.items():
            penalties = [penalty(s.gates.scores).mean() for s in self.subjects if s.kind == kind]
            if penalties:
                total = total + factor * torch.stack(penalties).mean()
        return total
