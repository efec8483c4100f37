"""The recipe: what a build is asked to do.

Every option of hwflow is a field of one of these models, with its type, its bounds and its
documentation; the JSON schema for editors and the error messages come from here.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field

from hwflow.recipe.data import DATASETS, Data, DataSpec
from hwflow.recipe.datasets.digits import Digits
from hwflow.recipe.datasets.image_folder import ImageFolder
from hwflow.recipe.datasets.npz import Npz
from hwflow.recipe.datasets.synthetic import Synthetic
from hwflow.recipe.datasets.torchvision import Torchvision
from hwflow.recipe.distillation import Distillation, Teacher
from hwflow.recipe.hardware import Hardware, Stall, Verify
from hwflow.recipe.model import ImportedModel
from hwflow.recipe.network import NETWORKS, Network, NetworkSpec
from hwflow.recipe.networks.fully_connected import FcPreset
from hwflow.recipe.networks.mlp import Mlp
from hwflow.recipe.networks.python import PythonNetwork
from hwflow.recipe.optimization import Optimization
from hwflow.recipe.section import Section
from hwflow.recipe.stage import STAGES, Objection, StageSettings, StageSpec
from hwflow.recipe.stages.decompose import Decompose
from hwflow.recipe.stages.distill import Distill
from hwflow.recipe.stages.prune import Prune
from hwflow.recipe.stages.quantize import Quantize
from hwflow.recipe.stages.train import Train
from hwflow.recipe.training import Training


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
    stages: tuple[StageSpec, ...] = Field(
        (),
        description="Compression, in order; none, [], where the network is quantized and trained"
        " already.",
    )
    hardware: Hardware = Field(Hardware(), description="The accelerator.")
    verify: Verify = Field(Verify(), description="How far it is verified.")

    @property
    def stage_names(self) -> list[str]:
        """What the stages are called, such as `01-train`."""
        return [f"{number:02d}-{stage.kind}" for number, stage in enumerate(self.stages, 1)]

    @property
    def is_exported(self) -> bool:
        """Whether the build goes on behind the stages: one quantizes the network, or there are none
        for it is quantized already."""
        quantizes = not self.stages or any(stage.quantizes for stage in self.stages)
        return self.network is not None and quantizes

    @property
    def why_export_ends(self) -> str | None:
        """Why the build is to end after the export; None if it may go on to hardware."""
        reasons = [stage.why_export_ends for stage in self.stages if stage.quantizes]
        return reasons[0] if reasons else None


__all__ = [
    "DATASETS",
    "NETWORKS",
    "STAGES",
    "Data",
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
    "Network",
    "NetworkSpec",
    "Npz",
    "Objection",
    "Optimization",
    "Prune",
    "PythonNetwork",
    "Quantize",
    "Recipe",
    "Section",
    "StageSettings",
    "StageSpec",
    "Stall",
    "Synthetic",
    "Teacher",
    "Torchvision",
    "Train",
    "Training",
    "Verify",
]
