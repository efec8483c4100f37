"""The recipe: what a build is asked to do.

Every option of hwflow is a field of one of these models, with its type, its bounds and its
documentation; the JSON schema for editors and the error messages come from here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator


class Section(BaseModel):
    """Base of every part of a recipe: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


# --------------------------------------------------------------------------------------- data


class Data(Section):
    """Options that every data set has."""

    validation: float = Field(
        0.1, gt=0, lt=0.9, description="Fraction of the training samples held out for validation."
    )


class TestFraction(Data):
    """A data set that comes in one piece: the test split is drawn from it too."""

    test: float = Field(0.2, gt=0, lt=0.9, description="Fraction of all samples held out for test.")


class Rooted(Data):
    """A data set that lies in a folder."""

    root: str | None = Field(
        None,
        description="Folder that holds the data set; default $HWFLOW_DATA, else ~/.cache/hwflow.",
    )


class Digits(TestFraction):
    """scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, embedded: needs no download."""

    name: Literal["digits"]


class Torchvision(Rooted):
    """A data set that torchvision knows how to read and to download."""

    name: Literal["mnist", "fashion_mnist", "cifar10"]
    download: bool = Field(False, description="Download the files when they are not in `root`.")


class ImageFolder(Rooted):
    """Images in `root`/train/<class>/* and `root`/test/<class>/*."""

    name: Literal["image_folder"]
    size: tuple[int, int] | None = Field(
        None, description="Height and width to resize to; default: all images have one size."
    )
    grey: bool = Field(False, description="Convert to one grey channel.")


class Npz(TestFraction):
    """NumPy file with arrays `x` (N, ...) and `y` (N,); with `x_test`, `y_test` if it is split."""

    name: Literal["npz"]
    file: str = Field(description="Path of the .npz file, relative to the recipe.")


DataSpec = Annotated[Digits | Torchvision | ImageFolder | Npz, Field(discriminator="name")]

# ------------------------------------------------------------------------------------ network


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

# ------------------------------------------------------------------------------------- stages


class Training(Section):
    """Options of every stage that trains."""

    epochs: int = Field(20, ge=0, description="Passes over the training split.")
    batch_size: int = Field(100, ge=1, description="Samples a step.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="Optimizer.")
    learning_rate: float = Field(1e-3, gt=0, description="Initial learning rate.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay.")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="Learning rate over the epochs: down to 0 on a cosine, or constant."
    )


class Train(Training):
    """Train the float network."""

    kind: Literal["train"]


class Quantize(Training):
    """Quantization-aware training: Brevitas layers swapped in by a pass over the graph."""

    kind: Literal["quantize"]
    weight_bits: Annotated[int, Field(ge=1, le=8)] | Literal["ternary"] = Field(
        4, description="Bits of the weights, 1 (binary: -1, +1) to 8, or `ternary` (-1, 0, +1)."
    )
    activation_bits: int = Field(
        4, ge=1, le=8, description="Bits of the activations, 1 (binary: -1, +1) to 8."
    )
    input_bits: int = Field(8, ge=1, le=8, description="Bits of the quantized network input.")
    weight_scaling: Literal["per_tensor", "per_channel"] = Field(
        "per_tensor",
        description="One weight scale a layer or an output channel (the last layer: per tensor).",
    )
    scale: Literal["float", "power_of_two"] = Field(
        "float", description="Whether scales are any number or powers of two."
    )


StageSpec = Annotated[Train | Quantize, Field(discriminator="kind")]

# ---------------------------------------------------------------------- hardware, verification


class Hardware(Section):
    """What accelerator to build."""

    clock_mhz: float | None = Field(None, gt=0, description="Clock; default: the board's.")
    target_fps: float | None = Field(
        None, gt=0, description="Frames a second that the folding must reach; default: minimal."
    )
    folding: str | None = Field(
        None,
        description="YAML file with `layer: {pe: N, simd: N}`, relative to the recipe, "
        "instead of target_fps.",
    )
    synthesis: bool = Field(True, description="Synthesise each layer with Yosys (resources).")

    @model_validator(mode="after")
    def _one_folding(self) -> Hardware:
        if self.target_fps is not None and self.folding is not None:
            raise ValueError("give either target_fps or folding, not both")
        return self


class Stall(Section):
    """Random stalls: chance, in percent, that a side is not ready in a cycle."""

    source: int = Field(0, ge=0, le=95, description="Chance that the input is not valid, in %.")
    sink: int = Field(0, ge=0, le=95, description="Chance that the output is not ready, in %.")


class Verify(Section):
    """How far the RTL is simulated (the emulator always sees the whole test split)."""

    rtl_frames: int | Literal["all"] = Field(
        512, description="Test frames that the RTL simulation sees, under every stall pattern."
    )
    stalls: tuple[Stall, ...] = Field(
        (Stall(), Stall(source=30, sink=50), Stall(source=0, sink=80)),
        min_length=1,
        description="Stall patterns, simulated one after the other.",
    )
    netlist: bool = Field(
        False, description="Simulate the synthesised netlist against the RTL (needs synthesis)."
    )


class Recipe(Section):
    """A build: data, network, compression stages, hardware and verification."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the build.")
    seed: int = Field(0, ge=0, description="Seed of splits, training and stalls.")
    data: DataSpec
    network: NetworkSpec
    stages: tuple[StageSpec, ...] = Field(min_length=1, description="Compression, in order.")
    hardware: Hardware = Hardware()
    verify: Verify = Verify()
