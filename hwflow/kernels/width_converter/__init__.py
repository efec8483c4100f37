"""WidthConverter: changes the width of a stream, at full rate for any ratio."""

from hwflow.kernels.width_converter.op import WidthConverter_rtl

LAYER = WidthConverter_rtl
