"""Residual networks in their CIFAR forms.

Branches meet in `+`, and a shortcut that changes size is a 1 x 1 convolution with batch norm:
both are what hardware takes, and parameters count as published for that form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from hwflow.networks.builder import IMAGES, Builder, check_axes
from hwflow.recipe.networks.residual import Residual

# Inputs, outputs and stride to a block.
MakeBlock = Callable[[int, int, int], nn.Module]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016a, figure 5)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(inputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            _conv(outputs, outputs, 3),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = _projection(inputs, outputs, stride)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        active: torch.Tensor = self.relu(self.body(x) + self.shortcut(x))
        return active


class PreActivationBlock(nn.Module):
    """Batch norm and ReLU before each convolution (He et al. 2016b, figure 4e).

    Where the size changes the shortcut starts behind the first ReLU and has no batch norm, as in
    wide residual networks (Zagoruyko and Komodakis 2016).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        self.body = nn.Sequential(
            _conv(inputs, outputs, 3, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            _conv(outputs, outputs, 3),
        )
        same = inputs == outputs and stride == 1
        self.projection = None if same else _conv(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        active = self.first(x)
        shortcut = x if self.projection is None else self.projection(active)
        joined: torch.Tensor = self.body(active) + shortcut
        return joined


class AggregatedBlock(nn.Module):
    """A bottleneck with grouped 3 x 3 convolutions (Xie et al. 2017, figure 3c).

    Args:
        inputs, outputs, stride: as of any block.
        cardinality: groups.
        base_width: channels of a group in the first stage, whose blocks have 256 outputs.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, cardinality: int = 8, base_width: int = 64
    ) -> None:
        super().__init__()
        inner = cardinality * base_width * outputs // 256
        self.body = nn.Sequential(
            _conv(inputs, inner, 1),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            _conv(inner, inner, 3, stride, cardinality),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            _conv(inner, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = _projection(inputs, outputs, stride)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        active: torch.Tensor = self.relu(self.body(x) + self.shortcut(x))
        return active


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


@dataclass(frozen=True)
class ResidualPlan:
    """A residual network.

    Attributes:
        block: its blocks.
        stem: channels of the first convolution.
        widths: channels of each stage; every stage but the first halves the image.
        blocks: number in each stage.
        pre_activation: whether batch norm and ReLU come before convolutions.
    """

    block: MakeBlock
    stem: int
    widths: tuple[int, ...]
    blocks: int
    pre_activation: bool = False


PLANS = {
    "resnet8": ResidualPlan(BasicBlock, 16, (16, 32, 64), 1),
    "resnet20": ResidualPlan(BasicBlock, 16, (16, 32, 64), 3),
    "resnet18": ResidualPlan(BasicBlock, 64, (64, 128, 256, 512), 2),
    "preresnet110": ResidualPlan(PreActivationBlock, 16, (16, 32, 64), 18, True),
    "wide_resnet28_10": ResidualPlan(PreActivationBlock, 16, (160, 320, 640), 4, True),
    "resnext29_8x64d": ResidualPlan(AggregatedBlock, 64, (256, 512, 1024), 3),
}


def build_residual(
    spec: Residual, shape: tuple[int, ...], classes: int, base: Path | None
) -> nn.Module:
    """(N, C, H, W) to logits (N, classes).

    Raises:
        RequestError: samples are no images.
    """
    check_axes(spec, shape, IMAGES)
    plan = PLANS[spec.name]
    layers: list[nn.Module] = [_conv(shape[0], plan.stem, 3)]
    if not plan.pre_activation:
        layers += [nn.BatchNorm2d(plan.stem), nn.ReLU()]
    channels = plan.stem
    for stage, width in enumerate(plan.widths):
        for number in range(plan.blocks):
            stride = 2 if stage and not number else 1
            layers.append(plan.block(channels, width, stride))
            channels = width
    if plan.pre_activation:
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


BUILDER = Builder(Residual, build_residual)
