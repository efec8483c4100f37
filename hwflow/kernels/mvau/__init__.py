"""MVAU: matrix-vector product in DSP blocks, FINN+'s core and the memory of its weights."""

from hwflow.kernels.mvau.op import MVAU_rtl

LAYER = MVAU_rtl
