"""LutMVAU: matrix-vector product of small integers, without DSP blocks."""

from hwflow.kernels.lut_mvau.op import LutMVAU_rtl

LAYER = LutMVAU_rtl
