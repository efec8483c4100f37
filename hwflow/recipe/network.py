"""Networks that a recipe can name, and their options."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

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


class Convolutional(Section):
    """Convolutional networks of the literature, adapted to the image size: cnn5 (the student of
    distillation papers), cnv (BNN-PYNQ), vgg10_1d (radio signals), and the CIFAR forms of
    resnet8, resnet18, resnet20, preresnet110, wide_resnet28_10, resnext29_8x64d, densenet100."""

    name: Literal[
        "cnn5",
        "cnv",
        "vgg10_1d",
        "resnet8",
        "resnet18",
        "resnet20",
        "preresnet110",
        "wide_resnet28_10",
        "resnext29_8x64d",
        "densenet100",
    ]


class MobileNet(Section):
    """MobileNet v1: depthwise separable convolutions (Howard et al. 2017)."""

    name: Literal["mobilenet_v1"]
    width: float = Field(
        1.0, gt=0, le=4, description="Channels, as a multiple of the published ones."
    )


class TorchvisionNetwork(Section):
    """Any classifier of torchvision, its weights random."""

    torchvision: str = Field(description="Name of the network, such as resnet50.")


class TransformersNetwork(Section):
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


class PythonNetwork(Section):
    """A network of the user's own: `function(shape, classes, **args) -> torch.nn.Module`."""

    python: str = Field(
        pattern=r"^.+\.py:[A-Za-z_]\w*$",
        description="path/file.py:function, relative to the recipe.",
    )
    args: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments for it.")


NetworkModel = (
    Mlp
    | FcPreset
    | Convolutional
    | MobileNet
    | TorchvisionNetwork
    | TransformersNetwork
    | PythonNetwork
)
# The networks that are told by a key of their own, not by a name.
SOURCES = ("python", "torchvision", "transformers")


def network_names() -> list[str]:
    """Every name that a recipe's network can have."""
    fields = [model.model_fields.get("name") for model in get_args(NetworkModel)]
    return [name for field in fields if field is not None for name in get_args(field.annotation)]


def network_name(spec: NetworkModel) -> str:
    """What a recipe's network is called."""
    for source in SOURCES:
        name = getattr(spec, source, None)
        if name is not None:
            return str(name)
    return str(getattr(spec, "name", ""))


def _network_kind(value: Any) -> str | None:
    get = value.get if isinstance(value, dict) else lambda key: getattr(value, key, None)
    for source in SOURCES:
        if get(source) is not None:
            return source
    return _TAGS.get(str(get("name")))


_TAGS = {
    "mlp": "mlp",
    **dict.fromkeys(get_args(FcPreset.model_fields["name"].annotation), "preset"),
    **dict.fromkeys(get_args(Convolutional.model_fields["name"].annotation), "convolutional"),
    "mobilenet_v1": "mobilenet",
}

NetworkSpec = Annotated[
    Annotated[Mlp, Tag("mlp")]
    | Annotated[FcPreset, Tag("preset")]
    | Annotated[Convolutional, Tag("convolutional")]
    | Annotated[MobileNet, Tag("mobilenet")]
    | Annotated[TorchvisionNetwork, Tag("torchvision")]
    | Annotated[TransformersNetwork, Tag("transformers")]
    | Annotated[PythonNetwork, Tag("python")],
    Discriminator(_network_kind),
]
