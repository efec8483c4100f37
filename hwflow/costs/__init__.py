"""What a network costs: parameters, operations, and hardware at a folding."""

from hwflow.costs.hardware import (
    Estimate,
    Folding,
    Target,
    divisors,
    fold,
    layer_estimate,
    total_estimate,
)
from hwflow.costs.layers import LayerShape, layer_shapes
from hwflow.costs.network import Costs, hardware_costs, network_costs
from hwflow.costs.target import clock_mhz, recipe_target, target_cycles

__all__ = [
    "Costs",
    "Estimate",
    "Folding",
    "LayerShape",
    "Target",
    "clock_mhz",
    "divisors",
    "fold",
    "hardware_costs",
    "layer_estimate",
    "layer_shapes",
    "network_costs",
    "recipe_target",
    "target_cycles",
    "total_estimate",
]
