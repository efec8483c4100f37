"""The recipe: what a build is asked to do.

Every option of hwflow is a field of one of these models, with its type, its bounds and its
documentation; the JSON schema for editors and the error messages come from here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from hwflow.recipe.data import DataSpec, Digits, ImageFolder, Npz, Synthetic, Torchvision
from hwflow.recipe.decompose import Decompose
from hwflow.recipe.distillation import Distill, Distillation, Teacher
from hwflow.recipe.hardware import Hardware, Stall, Verify
from hwflow.recipe.model import ImportedModel
from hwflow.recipe.network import FcPreset, Mlp, NetworkSpec, PythonNetwork
from hwflow.recipe.optimization import Optimization
from hwflow.recipe.prune import Prune
from hwflow.recipe.quantize import Quantize
from hwflow.recipe.section import Section
from hwflow.recipe.training import Train, Training

StageSpec = Annotated[Train | Prune | Distill | Decompose | Quantize, Field(discriminator="kind")]


class Recipe(Section):
    """A build: data, network, compression stages, hardware and verification; or a model file that
    is there already instead of network and stages."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": ["model"]}, {"required": ["data", "network", "stages"]}]
        }
    )

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the build.")
    seed: int = Field(0, ge=0, description="Seed of splits, training and stalls.")
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="How often the stages run, each time from another seed of initial weights and"
        " training on the same splits; the report gives mean and confidence interval. Hardware is"
        " built from the first.",
    )
    model: ImportedModel | None = Field(
        None, description="A quantized model file, instead of network and stages."
    )
    data: DataSpec | None = Field(
        None, description="Samples, their labels, and how they are split."
    )
    network: NetworkSpec | None = Field(None, description="The network, before any stage.")
    stages: tuple[StageSpec, ...] = Field((), description="Compression, in order.")
    hardware: Hardware = Field(Hardware(), description="The accelerator.")
    verify: Verify = Field(Verify(), description="How far it is verified.")

    @property
    def stage_names(self) -> list[str]:
        """What the stages are called, such as `01-train`."""
        return [f"{place:02d}-{stage.kind}" for place, stage in enumerate(self.stages, 1)]


__all__ = [
    "DataSpec",
    "Decompose",
    "Digits",
    "Distill",
    "Distillation",
    "FcPreset",
    "Hardware",
    "ImageFolder",
    "ImportedModel",
    "Mlp",
    "NetworkSpec",
    "Npz",
    "Optimization",
    "Prune",
    "PythonNetwork",
    "Quantize",
    "Recipe",
    "Section",
    "StageSpec",
    "Stall",
    "Synthetic",
    "Teacher",
    "Torchvision",
    "Train",
    "Training",
    "Verify",
]
