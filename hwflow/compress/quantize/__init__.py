"""Stage `quantize`: quantized weights and activations, trained or calibrated."""

from hwflow.compress.quantize.graph import quantize_network
from hwflow.compress.quantize.stage import QuantizeStage

__all__ = ["STAGE", "QuantizeStage", "quantize_network"]

STAGE = QuantizeStage()
