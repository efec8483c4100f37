"""Terms that compare layers: hints and attention transfer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from hwflow.compress.distillation.features import feature_shapes, pooled
from hwflow.compress.distillation.losses import attention_loss, attention_map
from hwflow.errors import RequestError
from hwflow.recipe.distillation import Attention, Distillation, Hint, LayerPair


class LayerTerm(nn.Module):
    """A layer of the student learns from a layer of a teacher.

    Args:
        pair: the layers.
        student, teacher: shapes of their features, (C, *positions). Where numbers of positions
            differ, the larger features are averaged down to the smaller.

    Raises:
        RequestError: one has positions in more dimensions than the other.
    """

    def __init__(self, pair: LayerPair, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        super().__init__()
        self.pair = pair
        if len(student) != len(teacher):
            raise RequestError(
                f"layers {pair.student} {student} and {pair.teacher} {teacher} of student and"
                " teacher can't be compared",
                hint="pair convolutions with convolutions, and linear layers with linear layers",
            )
        self.positions = tuple(min(sizes) for sizes in zip(student[1:], teacher[1:], strict=True))

    def target(self, features: torch.Tensor) -> torch.Tensor:
        """What is learned of a teacher's features (B, C, *positions)."""
        return pooled(features, self.positions)


class HintTerm(LayerTerm):
    """Features like the teacher's (Romero 2015, section 2.2, equation 3).

    Widths that differ meet through a linear regressor over channels, which learns along with the
    student. The squared difference is averaged over samples, channels and positions, so that the
    weight does not depend on the layer's size.
    """

    def __init__(self, pair: Hint, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        super().__init__(pair, student, teacher)
        self.weight = pair.weight
        self.regressor: nn.Module = nn.Identity()
        if student[0] != teacher[0]:
            self.regressor = nn.Conv1d(student[0], teacher[0], kernel_size=1)

    def forward(self, features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of the student's features (B, C, *positions) against the teacher's target."""
        ours, theirs = (
            tensor.reshape(*tensor.shape[:2], -1)
            for tensor in (pooled(features, self.positions), target)
        )
        return nn.functional.mse_loss(self.regressor(ours), theirs)


class AttentionTerm(LayerTerm):
    """Attention maps like the teacher's (Zagoruyko & Komodakis 2017, section 3.1).

    Raises:
        RequestError: the layers have no positions.
    """

    def __init__(self, pair: Attention, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        super().__init__(pair, student, teacher)
        self.weight = pair.weight
        if not self.positions:
            raise RequestError(
                f"layers {pair.student} and {pair.teacher} have no positions to attend to",
                hint="name layers before the network is flattened, or use hints",
            )

    def target(self, features: torch.Tensor) -> torch.Tensor:
        """The teacher's attention map, (B, *positions)."""
        return pooled(attention_map(features)[:, None], self.positions)[:, 0]

    def forward(self, features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of the student's features (B, C, *positions) against the teacher's target."""
        return attention_loss(self.target(features), target)


def layer_terms(
    settings: Distillation,
    student: nn.Module,
    teachers: Sequence[nn.Module],
    shape: tuple[int, ...],
) -> list[HintTerm | AttentionTerm]:
    """The terms that a recipe asks for.

    Args:
        settings: pairs of layers.
        student: network that is trained.
        teachers: in the recipe's order.
        shape: of one sample.

    Raises:
        RequestError: a layer that is not there or not run, or layers that can't be compared.
    """
    pairs: list[LayerPair] = [*settings.hints, *settings.attention]
    if not pairs:
        return []
    ours = feature_shapes(student, [pair.student for pair in pairs], shape, "the network")
    theirs = [
        feature_shapes(
            teacher, [pair.teacher for pair in pairs if pair.of == index], shape, f"teacher {index}"
        )
        for index, teacher in enumerate(teachers)
    ]
    hints = [
        HintTerm(pair, ours[pair.student], theirs[pair.of][pair.teacher]) for pair in settings.hints
    ]
    attention = [
        AttentionTerm(pair, ours[pair.student], theirs[pair.of][pair.teacher])
        for pair in settings.attention
    ]
    return [*hints, *attention]
