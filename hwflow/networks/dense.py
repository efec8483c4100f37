"""DenseNet-BC: layers whose outputs are concatenated to their inputs (Huang et al. 2017)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from hwflow.networks.builder import IMAGES, Builder, check_axes
from hwflow.recipe.networks.dense import DenseNet

# Of densenet100: layers, and new channels a layer.
DEPTH, GROWTH = 100, 12


class DenseLayer(nn.Module):
    """A bottleneck of 4 k channels and k new channels (section 3, DenseNet-B)."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, inputs + growth, H, W)."""
        return torch.cat([x, self.body(x)], 1)


def build_densenet(
    spec: DenseNet, shape: tuple[int, ...], classes: int, base: Path | None
) -> nn.Module:
    """DenseNet-BC with three blocks and transitions that halve channels and image.

    (N, C, H, W) to logits (N, classes).

    Raises:
        RequestError: samples are no images.
    """
    check_axes(spec, shape, IMAGES)
    channels = 2 * GROWTH
    layers: list[nn.Module] = [nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)]
    for block in range(3):
        for _ in range((DEPTH - 4) // 6):
            layers.append(DenseLayer(channels, GROWTH))
            channels += GROWTH
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if block < 2:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


BUILDER = Builder(DenseNet, build_densenet)
