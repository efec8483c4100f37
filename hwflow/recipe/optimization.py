"""How a network is trained: epochs, optimizer, augmentation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwflow.recipe.section import Section


class Optimization(Section):
    """Epochs, optimizer, learning rate and augmentation."""

    epochs: int = Field(20, ge=0, description="Passes over the training split.")
    batch_size: int = Field(100, ge=1, description="Samples a step.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam", description="Optimizer; sgd has a momentum of 0.9."
    )
    learning_rate: float = Field(1e-3, gt=0, description="Initial learning rate.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay.")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="Learning rate over the epochs: down to 0 on a cosine, or constant."
    )
    augment: Literal["none", "flip", "crop_flip"] = Field(
        "none",
        description="Random changes of training images: mirrored, or also shifted by up to 4"
        " pixels each way (zeros move in).",
    )
