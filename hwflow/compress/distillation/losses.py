"""The terms of a distilled loss, on tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional


def averaged_log_probabilities(logits: Sequence[torch.Tensor], temperature: float) -> torch.Tensor:
    """Log of the mean of several teachers' softened probabilities (Hinton 2015, section 1).

    Probabilities are averaged, not logits: learning from their arithmetic mean has the gradient of
    learning from each teacher with equal weight (You 2017), and a teacher whose
    logits are large does not outvote the others.

    Args:
        logits: of each teacher, (B, classes).
        temperature: T.

    Returns:
        (B, classes).
    """
    softened = [functional.log_softmax(scores / temperature, dim=1) for scores in logits]
    if len(softened) == 1:
        return softened[0]
    return torch.logsumexp(torch.stack(softened), dim=0) - math.log(len(softened))


def soft_target_loss(
    logits: torch.Tensor, log_targets: torch.Tensor, temperature: float
) -> torch.Tensor:
    """T^2 KL(teacher || student), averaged over the batch (Hinton 2015, section 2).

    The gradient of softened logits shrinks as 1 / T^2; the factor makes up for it.

    Args:
        logits: of the student, (B, classes).
        log_targets: log of the teachers' softened probabilities, (B, classes).
        temperature: T.
    """
    softened = functional.log_softmax(logits / temperature, dim=1)
    divergence = functional.kl_div(softened, log_targets, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def attention_map(features: torch.Tensor) -> torch.Tensor:
    """Mean square over channels (Zagoruyko & Komodakis 2017, section 3.1: F_sum^2).

    Args:
        features: (B, C, *positions).

    Returns:
        (B, *positions).
    """
    return features.square().mean(1)


def attention_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of attention maps of length 1 (Zagoruyko & Komodakis 2017, eq. 2).

    Their beta is 1000 divided by batch size and number of positions: so is the mean here.

    Args:
        student, teacher: attention maps, (B, *positions).
    """
    ours = functional.normalize(student.flatten(1), dim=1)
    theirs = functional.normalize(teacher.flatten(1), dim=1)
    return (ours - theirs).square().mean()
