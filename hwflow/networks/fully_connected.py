"""Multilayer perceptrons, and the fully connected networks of BNN-PYNQ."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from hwflow.networks.builder import Builder
from hwflow.recipe import FcPreset, Mlp

FC_WIDTHS = {"tfc": 64, "sfc": 256, "lfc": 1024}


class Rescale(nn.Module):
    """x -> scale * x + offset, two constants."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        return self.scale * x + self.offset

    def extra_repr(self) -> str:
        """The two constants."""
        return f"scale={self.scale}, offset={self.offset}"


class TensorNorm(nn.Module):
    """Batch norm over all logits at once: one mean, variance, weight and bias (4 scalars).

    BNN-PYNQ's fully connected networks end so. It changes no decision and gives the loss a scale.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, momentum: float = 0.1, eps: float = 1e-4) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(()))
        self.register_buffer("running_mean", torch.zeros(()))
        self.register_buffer("running_var", torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, classes) to (N, classes)."""
        if not self.training:
            scale = self.weight / torch.sqrt(self.running_var + self.eps)
            return (x - self.running_mean) * scale + self.bias
        mean, variance = x.mean(), x.var(unbiased=False)
        with torch.no_grad():
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(x.detach().var(), self.momentum)
        return (x - mean) / torch.sqrt(variance + self.eps) * self.weight + self.bias


def build_mlp(spec: Mlp, shape: tuple[int, ...], classes: int, base: Path | None) -> nn.Module:
    """(N, *shape) to logits (N, classes)."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(shape)
    for neurons in spec.widths:
        layers.append(nn.Linear(width, neurons, bias=spec.bias and not spec.batch_norm))
        if spec.batch_norm:
            layers.append(nn.BatchNorm1d(neurons))
        layers.append(nn.ReLU())
        if spec.dropout:
            layers.append(nn.Dropout(spec.dropout))
        width = neurons
    layers.append(nn.Linear(width, classes, bias=spec.bias))
    return nn.Sequential(*layers)


def build_fc(spec: FcPreset, shape: tuple[int, ...], classes: int, base: Path | None) -> nn.Module:
    """(N, *shape) with values in [0, 1] to logits (N, classes)."""
    width, inputs = FC_WIDTHS[spec.name], math.prod(shape)
    layers: list[nn.Module] = [nn.Flatten(), Rescale(2.0, -1.0), nn.Dropout(spec.dropout)]
    for _ in range(3):
        layers += [
            nn.Linear(inputs, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(spec.dropout),
        ]
        inputs = width
    layers += [nn.Linear(inputs, classes, bias=False), TensorNorm()]
    return nn.Sequential(*layers)


BUILDER = (Builder(Mlp, build_mlp), Builder(FcPreset, build_fc))
