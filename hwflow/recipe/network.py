"""Networks that a recipe can name, and their options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from hwflow.recipe.section import Section


class Mlp(Section):
    """Multilayer perceptron: [Linear, BatchNorm1d, ReLU, Dropout] for each width, then Linear."""

    name: Literal["mlp"]
    widths: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(
        (64, 64), min_length=1, description="Neurons of each hidden layer."
    )
    batch_norm: bool = Field(True, description="Batch norm after each hidden layer.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout probability after each layer.")
    bias: bool = Field(True, description="Bias of the last layer (and of hidden ones without BN).")


class FcPreset(Section):
    """BNN-PYNQ's fully connected networks: input 2x-1, three hidden layers of 64 (tfc), 256
    (sfc) or 1024 (lfc) neurons with batch norm and dropout, no biases."""

    name: Literal["tfc", "sfc", "lfc"]
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout probability at the input and after each layer."
    )


class PythonNetwork(Section):
    """A network of the user's own: `function(shape, classes, **args) -> torch.nn.Module`."""

    python: str = Field(
        pattern=r"^.+\.py:[A-Za-z_]\w*$",
        description="path/file.py:function, relative to the recipe.",
    )
    args: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments for it.")


def _network_kind(value: Any) -> str | None:
    get = value.get if isinstance(value, dict) else lambda key: getattr(value, key, None)
    if get("python") is not None:
        return "python"
    return {"mlp": "mlp", "tfc": "preset", "sfc": "preset", "lfc": "preset"}.get(str(get("name")))


NetworkSpec = Annotated[
    Annotated[Mlp, Tag("mlp")]
    | Annotated[FcPreset, Tag("preset")]
    | Annotated[PythonNetwork, Tag("python")],
    Discriminator(_network_kind),
]
