"""Options of networks of Hugging Face transformers."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hwflow.recipe.network import Network


class TransformersNetwork(Network):
    """A classifier of Hugging Face transformers, of token sequences or of images."""

    transformers: str = Field(description="Architecture, such as bert, distilbert or vit.")
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the architecture's configuration, such as hidden_size.",
    )
    checkpoint: str | None = Field(
        None,
        description="Folder or name of a pretrained network; without one its weights are random.",
    )
    token_scale: float = Field(
        1.0, gt=0, description="Inputs times this, rounded, are the tokens of a sequence."
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The folder of the pretrained network, if it is one."""
        return () if self.checkpoint is None else (self.checkpoint,)


SCHEMA = TransformersNetwork
