"""MobileNet v1: depthwise separable convolutions."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from hwflow.networks.builder import IMAGES, Builder, check_axes
from hwflow.networks.convolutional import conv_unit
from hwflow.recipe.networks.mobilenet import MobileNet

# Images of up to this many pixels a side are taken at full resolution by the first layers.
SMALL_IMAGE = 64


def build_mobilenet(
    spec: MobileNet, shape: tuple[int, ...], classes: int, base: Path | None
) -> nn.Module:
    """MobileNet v1 (Howard et al. 2017, table 1), its channels rounded to multiples of 8.

    On images of up to 64 pixels a side the first convolution does not halve.
    (N, C, H, W) to logits (N, classes).

    Raises:
        RequestError: samples are no images.
    """
    check_axes(spec, shape, IMAGES)

    def scaled(channels: int) -> int:
        return max(8, round(channels * spec.width / 8) * 8)

    stride = 1 if max(shape[1:]) <= SMALL_IMAGE else 2
    channels = scaled(32)
    layers = conv_unit(shape[0], channels, 3, stride=stride, padding=1)
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    plan += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    for out, stride in plan:
        layers += conv_unit(channels, channels, 3, stride=stride, padding=1, groups=channels)
        layers += conv_unit(channels, scaled(out), 1)
        channels = scaled(out)
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


BUILDER = Builder(MobileNet, build_mobilenet)
