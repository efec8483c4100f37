"""The loss of a network that learns from teachers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from hwflow.compress.distillation.cache import OutputCache
from hwflow.compress.distillation.features import captured
from hwflow.compress.distillation.hints import AttentionTerm, HintTerm, layer_terms
from hwflow.compress.distillation.losses import averaged_log_probabilities, soft_target_loss
from hwflow.compress.distillation.teachers import load_teachers
from hwflow.compress.stage import StageContext
from hwflow.compress.training import Batch, Objective, cross_entropy
from hwflow.recipe.distillation import Distillation

Term = HintTerm | AttentionTerm


def objective_for(
    settings: Distillation | None, model: nn.Module, context: StageContext
) -> Objective:
    """What a stage minimises.

    Args:
        settings: teachers and terms; None: cross entropy with the labels.
        model: network that is going to be trained, as it is then.
        context: of the stage.

    Raises:
        HwflowError: a teacher can't be had, or a layer is not there.
    """
    if settings is None:
        return cross_entropy
    teachers = [teacher.network for teacher in load_teachers(settings, context)]
    with torch.random.fork_rng():
        torch.manual_seed(context.seed)
        terms = layer_terms(settings, model, teachers, context.data.shape)
    return DistilledLoss(settings, teachers, terms)


class DistilledLoss(nn.Module):
    """alpha T^2 KL(teachers || student) + (1 - alpha) cross entropy + terms of layers.

    Its parameters, those of the terms' regressors, are trained along with the student. Teachers
    are no part of it as a module: they are not trained, put into training mode, or saved.

    Args:
        settings: weights, temperature, caching.
        teachers: in eval mode.
        terms: that compare layers.
    """

    def __init__(
        self, settings: Distillation, teachers: Sequence[nn.Module], terms: Sequence[Term]
    ) -> None:
        super().__init__()
        self.settings = settings
        self.terms = nn.ModuleList(terms)
        self.panel = TeacherPanel(settings, teachers, terms)

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Loss of a network on a batch, averaged over its samples."""
        settings = self.settings
        targets = self.panel.targets(batch)
        with captured(model, [term.pair.student for term in self._terms()]) as features:
            logits = model(batch.inputs)
        loss = torch.zeros((), device=batch.inputs.device)
        if settings.alpha < 1:
            labelled = functional.cross_entropy(logits, batch.labels)
            loss = loss + (1 - settings.alpha) * labelled
        if settings.alpha > 0:
            soft = soft_target_loss(logits, targets.pop(0), settings.temperature)
            loss = loss + settings.alpha * soft
        for term, target in zip(self._terms(), targets, strict=True):
            loss = loss + term.weight * term(features[term.pair.student], target)
        return loss

    def _terms(self) -> list[Term]:
        return list(self.terms)  # type: ignore[arg-type]


class TeacherPanel:
    """The teachers of a stage, run together, without gradients, on the student's device.

    Args:
        settings: temperature, caching, and whether soft targets are wanted.
        teachers: in eval mode.
        terms: that want features.
    """

    def __init__(
        self, settings: Distillation, teachers: Sequence[nn.Module], terms: Sequence[Term]
    ) -> None:
        self.settings, self.teachers, self.terms = settings, list(teachers), list(terms)
        self.device: torch.device | None = None
        self.cache: OutputCache | None = None
        if settings.outputs == "cached":
            self.cache = OutputCache(settings.cache_mb * 2**20)

    def targets(self, batch: Batch) -> list[torch.Tensor]:
        """What a batch's samples are to learn.

        Returns:
            Log of the averaged soft targets (B, classes), unless alpha is 0; then the target
            (B, ...) of each term.
        """
        if self.cache is None:
            return self._run(batch.inputs)
        return self.cache.rows(
            batch.sample, batch.variant, lambda places: self._run(batch.inputs[places])
        )

    @torch.no_grad()
    def _run(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        if inputs.device != self.device:
            self.device = inputs.device
            self.teachers = [teacher.to(self.device) for teacher in self.teachers]
        logits, features = [], []
        for index, teacher in enumerate(self.teachers):
            wanted = [term.pair.teacher for term in self.terms if term.pair.of == index]
            with captured(teacher, wanted) as layer_features:
                logits.append(teacher(inputs))
            features.append(layer_features)
        soft = (
            [averaged_log_probabilities(logits, self.settings.temperature)]
            if self.settings.alpha > 0
            else []
        )
        pairs = [term.pair for term in self.terms]
        return soft + [
            term.target(features[pair.of][pair.teacher])
            for term, pair in zip(self.terms, pairs, strict=True)
        ]
