"""Options of multilayer perceptrons."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hwflow.recipe.network import Network


class Mlp(Network):
    """Multilayer perceptron: [Linear, BatchNorm1d, ReLU, Dropout] for each width, then Linear."""

    name: Literal["mlp"]
    widths: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(
        (64, 64), min_length=1, description="Neurons of each hidden layer."
    )
    batch_norm: bool = Field(True, description="Batch norm after each hidden layer.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout probability after each layer.")
    bias: bool = Field(True, description="Bias of the last layer (and of hidden ones without BN).")


SCHEMA = Mlp
