"""Thresholding: steps in place of quantizers, FINN+'s core."""

from hwflow.kernels.thresholding.op import Thresholding_rtl

LAYER = Thresholding_rtl
