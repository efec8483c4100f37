"""Options of learning from teachers, in any stage that trains."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hwflow.recipe.network import NetworkSpec
from hwflow.recipe.optimization import Optimization
from hwflow.recipe.section import Section


class Teacher(Section):
    """A network to learn from: an earlier stage's, or another one, trained here or from a file."""

    stage: str | None = Field(
        None, description="Earlier stage of this recipe whose network teaches: `train`, `01-train`."
    )
    network: NetworkSpec | None = Field(None, description="Another network that teaches.")
    train: Optimization | None = Field(None, description="How `network` is trained first.")
    checkpoint: str | None = Field(
        None,
        description="Weights of `network`: safetensors, or a torch state dict; relative to the"
        " recipe.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Teacher:
        if (self.stage is None) == (self.network is None):
            raise ValueError("give either stage or network")
        if self.network is None and (self.train is not None or self.checkpoint is not None):
            raise ValueError("train and checkpoint belong to network")
        if self.network is not None and (self.train is None) == (self.checkpoint is None):
            raise ValueError("give either train or checkpoint, for the teacher's weights")
        if self.train is not None and self.train.epochs == 0:
            raise ValueError("train.epochs of 0 leaves the teacher at its random weights")
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The user's files that the teacher comes from, relative to the recipe."""
        of_network = self.network.files if self.network is not None else ()
        return of_network if self.checkpoint is None else (*of_network, self.checkpoint)


class LayerPair(Section):
    """A layer of the network that is trained, and the layer of a teacher that it learns from."""

    student: str = Field(description="Layer of the network that is trained, such as `conv2`.")
    teacher: str = Field(description="Layer of the teacher.")
    of: int = Field(0, ge=0, description="Which of `teachers`, from 0.")


class Hint(LayerPair):
    """Features like the teacher's (FitNets, Romero 2015): mean squared difference, behind a
    linear regressor where the layers' widths differ."""

    weight: float = Field(1.0, gt=0, description="Weight in the loss.")


class Attention(LayerPair):
    """Attention maps like the teacher's (Zagoruyko & Komodakis 2017): where features are large."""

    weight: float = Field(
        1000.0, gt=0, description="Weight in the loss: their beta, of a mean over positions."
    )


class Distillation(Section):
    """Soft targets (Hinton 2015): alpha T^2 KL(teacher || student) + (1 - alpha) cross entropy,
    plus hints and attention transfer between layers."""

    teachers: tuple[Teacher, ...] = Field(
        min_length=1, description="Their softened outputs are averaged."
    )
    alpha: float = Field(
        0.9, ge=0, le=1, description="Weight of the teachers; 1 leaves the labels out."
    )
    temperature: float = Field(4.0, gt=0, description="T, that logits are divided by.")
    hints: tuple[Hint, ...] = Field((), description="Layers that learn a teacher's features.")
    attention: tuple[Attention, ...] = Field(
        (), description="Layers that learn a teacher's attention maps."
    )
    outputs: Literal["in_step", "cached"] = Field(
        "in_step",
        description="Teachers run in every step, or once for each sample and each of its"
        " augmentations.",
    )
    cache_mb: int = Field(
        1024, ge=1, description="Memory for `cached` outputs; others are computed in every step."
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Distillation:
        pairs = (*self.hints, *self.attention)
        if self.alpha == 0 and not pairs:
            raise ValueError("alpha of 0, without hints or attention, learns nothing of teachers")
        for pair in pairs:
            if pair.of >= len(self.teachers):
                raise ValueError(
                    f"there is no teacher {pair.of} for layer {pair.student}; the last is"
                    f" {len(self.teachers) - 1}"
                )
        return self
