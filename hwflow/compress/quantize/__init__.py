"""Stage `quantize`: quantized weights and activations, trained or calibrated."""

from hwflow.compress.quantize.graph import quantize_network
from hwflow.compress.quantize.lowering import why_not_lowered
from hwflow.compress.quantize.stage import QuantizeStage

__all__ = ["STAGE", "QuantizeStage", "quantize_network", "why_not_lowered"]

STAGE = QuantizeStage()
