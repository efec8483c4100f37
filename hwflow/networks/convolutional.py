"""Plain convolutional networks: cnn5, cnv, vgg10_1d."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from hwflow.networks.builder import IMAGES, SIGNALS, Builder, check_axes
from hwflow.networks.fully_connected import Rescale, TensorNorm
from hwflow.recipe.networks.convolutional import Convolutional


def build_cnn5(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Three convolutions of 32, 64 and 128 channels, each halved, and two linear layers: the
    student of knowledge-distillation-pytorch. (N, C, H, W) to logits (N, classes)."""
    layers: list[nn.Module] = []
    channels = shape[0]
    for width in (32, 64, 128):
        layers += [*conv_unit(channels, width, 3, padding=1), nn.MaxPool2d(2)]
        channels = width
    layers.append(nn.Flatten())
    features = features_after(layers, shape)
    return nn.Sequential(*layers, *linear_unit(features, 128), nn.Linear(128, classes))


def build_cnv(shape: tuple[int, ...], classes: int) -> nn.Module:
    """BNN-PYNQ's CNV: six 3 x 3 convolutions without padding, three linear layers, no biases
    (Umuroglu et al. 2017, section 3). (N, C, H, W) with values in [0, 1] to logits."""
    layers: list[nn.Module] = [Rescale(2.0, -1.0)]
    channels = shape[0]
    for width, pooled in ((64, False), (64, True), (128, False), (128, True), (256, False)):
        layers += conv_unit(channels, width, 3)
        layers += [nn.MaxPool2d(2)] if pooled else []
        channels = width
    layers += [*conv_unit(channels, 256, 3), nn.Flatten()]
    features = features_after(layers, shape)
    layers += [*linear_unit(features, 512), *linear_unit(512, 512)]
    return nn.Sequential(*layers, nn.Linear(512, classes, bias=False), TensorNorm())


def build_vgg10_1d(shape: tuple[int, ...], classes: int) -> nn.Module:
    """VGG10 for radio signals: seven 1-D convolutions of 64 channels, each halved, and three
    linear layers (O'Shea et al. 2018, table 3). (N, C, L) to logits (N, classes)."""
    layers: list[nn.Module] = []
    channels = shape[0]
    for _ in range(7):
        layers += [
            nn.Conv1d(channels, 64, 3, padding=1, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.MaxPool1d(2),
        ]
        channels = 64
    layers.append(nn.Flatten())
    features = features_after(layers, shape)
    layers += [*linear_unit(features, 128), *linear_unit(128, 128)]
    return nn.Sequential(*layers, nn.Linear(128, classes))


def conv_unit(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> list[nn.Module]:
    """Convolution without bias, batch norm, ReLU."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def linear_unit(inputs: int, outputs: int) -> list[nn.Module]:
    """Linear layer without bias, batch norm, ReLU."""
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]


def features_after(layers: Sequence[nn.Module], shape: tuple[int, ...]) -> int:
    """Number of values that layers make of one sample.

    Raises:
        RuntimeError: the sample is too small for them.
    """
    net = nn.Sequential(*layers).eval()
    with torch.no_grad():
        features = int(net(torch.zeros(1, *shape)).numel())
    net.train()
    return features


_PLAIN: dict[str, tuple[Callable[[tuple[int, ...], int], nn.Module], tuple[str, ...]]] = {
    "cnn5": (build_cnn5, IMAGES),
    "cnv": (build_cnv, IMAGES),
    "vgg10_1d": (build_vgg10_1d, SIGNALS),
}


def build_convolutional(
    spec: Convolutional, shape: tuple[int, ...], classes: int, base: Path | None
) -> nn.Module:
    """The network of that name.

    Raises:
        RequestError: samples have other axes.
        RuntimeError: samples are too small.
    """
    make, axes = _PLAIN[spec.name]
    check_axes(spec, shape, axes)
    return make(shape, classes)


BUILDER = Builder(Convolutional, build_convolutional)
