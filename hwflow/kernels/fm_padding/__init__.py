"""FMPadding: zeros around an image, FINN+'s core."""

from hwflow.kernels.fm_padding.op import FMPadding_rtl

LAYER = FMPadding_rtl
