"""Networks of other libraries: torchvision's and Hugging Face transformers' classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError, ToolError
from hwflow.networks.builder import Builder
from hwflow.recipe.networks.torchvision import TorchvisionNetwork
from hwflow.recipe.networks.transformers import TransformersNetwork


def build_torchvision(
    spec: TorchvisionNetwork, shape: tuple[int, ...], classes: int, base: Path | None
) -> nn.Module:
    """A classifier of torchvision with random weights, (N, 3, H, W) to logits (N, classes).

    Raises:
        RequestError: torchvision has no classifier of that name.
    """
    from torchvision import models

    names = models.list_models(module=models)
    if spec.torchvision not in names:
        raise RequestError(
            f"network.torchvision: there is no {spec.torchvision!r}",
            hint=nearest(spec.torchvision, names),
        )
    network: nn.Module = models.get_model(spec.torchvision, weights=None, num_classes=classes)
    return network


class Sequence(nn.Module):
    """A classifier of tokens: values times `token_scale`, rounded, are the tokens."""

    def __init__(self, model: nn.Module, token_scale: float) -> None:
        super().__init__()
        self.model: Any = model
        self.token_scale = token_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, *shape) to logits (N, classes); samples are read as one sequence each."""
        logits: torch.Tensor = self.model(input_ids=self._tokens(x)).logits
        return logits

    def check_samples(self, x: torch.Tensor) -> None:
        """Raise for tokens that are not in the vocabulary.

        Raises:
            RequestError: names the token, the vocabulary's size and the options to change.
        """
        tokens, size = self._tokens(x), self.model.get_input_embeddings().num_embeddings
        low, high = int(tokens.min()), int(tokens.max())
        if low < 0 or high >= size:
            raise RequestError(
                f"network: the data have token {low if low < 0 else high}, which a vocabulary of"
                f" {size} does not have",
                hint="set network.config.vocab_size, or network.token_scale",
            )

    def _tokens(self, x: torch.Tensor) -> torch.Tensor:
        return torch.round(x.flatten(1) * self.token_scale).long()


class Images(nn.Module):
    """A classifier of images."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to logits (N, classes)."""
        logits: torch.Tensor = self.model(pixel_values=x).logits
        return logits


def build_transformers(
    spec: TransformersNetwork, shape: tuple[int, ...], classes: int, base: Path | None
) -> nn.Module:
    """A classifier of Hugging Face transformers, (N, *shape) to logits (N, classes).

    Raises:
        ToolError: transformers is not installed.
        RequestError: no such architecture, or options or a checkpoint that it does not take.
    """
    try:
        import transformers
    except ImportError as error:
        raise ToolError(
            "network.transformers needs Hugging Face transformers, which is not installed",
            hint="pip install 'hwflow[transformers]'",
        ) from error
    known = transformers.CONFIG_MAPPING
    if spec.transformers not in known:
        raise RequestError(
            f"network.transformers: there is no architecture {spec.transformers!r}",
            hint=nearest(spec.transformers, known),
        )
    kind = type(known[spec.transformers]())
    for mapping, loader, wrapper in (
        (
            transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
            transformers.AutoModelForSequenceClassification,
            lambda model: Sequence(model, spec.token_scale),
        ),
        (
            transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
            transformers.AutoModelForImageClassification,
            Images,
        ),
    ):
        if kind in mapping:
            return wrapper(_loaded(transformers, loader, spec, shape, classes, base))
    raise RequestError(
        f"network.transformers: {spec.transformers} is no classifier",
        hint="name an architecture with sequence or image classification, such as bert or vit",
    )


def _loaded(
    transformers: Any,
    loader: Any,
    spec: TransformersNetwork,
    shape: tuple[int, ...],
    classes: int,
    base: Path | None,
) -> nn.Module:
    options = {"num_labels": classes, **spec.config}
    if loader is transformers.AutoModelForImageClassification and len(shape) == 3:
        options = {"image_size": shape[-1], "num_channels": shape[0], **options}
    try:
        if spec.checkpoint is None:
            config = transformers.AutoConfig.for_model(spec.transformers, **options)
            network: nn.Module = loader.from_config(config)
        else:
            local = (base or Path()) / spec.checkpoint
            source = str(local) if local.exists() else spec.checkpoint
            network = loader.from_pretrained(source, **options)
        return network
    except (OSError, ValueError, TypeError, ImportError) as error:
        what = "config" if spec.checkpoint is None else "checkpoint"
        raise RequestError(
            f"network.{what}: {spec.transformers}: {str(error).splitlines()[0]}",
            hint="see the architecture's configuration in the transformers documentation",
        ) from error


BUILDER = (
    Builder(TorchvisionNetwork, build_torchvision),
    Builder(TransformersNetwork, build_transformers),
)
