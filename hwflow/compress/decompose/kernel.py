"""A layer's weight as a tensor of three ways, and what its unfoldings say about ranks.

All of it is computed in float64: squared norms, whose differences are errors, cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from hwflow.compress.decompose.basis import Basis, Once


@dataclass(frozen=True)
class Dimensions:
    """Size of a weight: output channels, input channels and kernel positions (taps)."""

    outputs: int
    inputs: int
    taps: int

    @classmethod
    def of(cls, weight: torch.Tensor) -> Dimensions:
        """Of a weight (outputs, inputs) or (outputs, inputs, *kernel)."""
        return cls(weight.shape[0], weight.shape[1], math.prod(weight.shape[2:]))


class Kernel:
    """The weight of a linear layer or of a convolution without groups.

    Args:
        weight: (outputs, inputs) or (outputs, inputs, *kernel).
    """

    def __init__(self, weight: torch.Tensor) -> None:
        ways = weight.detach().cpu().reshape(*weight.shape[:2], -1)
        self.size = Dimensions.of(weight)
        # With inputs last, both unfoldings and all their products are views of one layout.
        self.tensor = ways.transpose(1, 2).contiguous().double()
        self.outputs = Basis(self.by_outputs)
        # A matrix has one spectrum for both sides.
        shared = self.outputs.spectrum if self.size.taps == 1 else None
        self.inputs = Basis(self.by_inputs.T, shared)

    @property
    def by_outputs(self) -> torch.Tensor:
        """(outputs, taps inputs)."""
        return self.tensor.flatten(1)

    @property
    def by_inputs(self) -> torch.Tensor:
        """(outputs taps, inputs)."""
        return self.tensor.flatten(0, 1)

    @Once
    def square(self) -> float:
        """Squared Frobenius norm."""
        return float(self.tensor.flatten() @ self.tensor.flatten())

    @Once
    def kept(self) -> torch.Tensor:
        """(outputs + 1, inputs + 1): squared norm of the core that HOSVD keeps at any two ranks."""
        out, inner, taps = self.size.outputs, self.size.inputs, self.size.taps
        half = (self.by_inputs @ self.inputs.first(inner)).reshape(out, -1)
        core = self.outputs.first(out).T @ half
        energies = core.new_zeros(out + 1, inner + 1)
        energies[1:, 1:] = core.reshape(out, taps, inner).square().sum(1).cumsum(0).cumsum(1)
        return energies

    def lost(self, energy: float) -> float:
        """Relative error ||W - W'|| / ||W|| of a projection W' of squared norm `energy`."""
        return math.sqrt(max(self.square - energy, 0.0) / (self.square or 1.0))

    def error(self, approximation: torch.Tensor) -> float:
        """Relative error ||W - W'|| / ||W|| of any W' (outputs, inputs, taps)."""
        difference = self.tensor - approximation.transpose(1, 2)
        return float(torch.linalg.norm(difference)) / (math.sqrt(self.square) or 1.0)
