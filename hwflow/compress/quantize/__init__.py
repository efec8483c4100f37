"""Stage `quantize`: quantized layers swapped into a network by a pass over its graph."""

from hwflow.compress.quantize.stage import QuantizeStage
from hwflow.compress.quantize.swap import quantize_network

__all__ = ["QuantizeStage", "quantize_network"]
