"""VVAU: depthwise products, each channel of a window with weights of its own."""

from hwflow.kernels.vvau.op import VVAU_rtl

LAYER = VVAU_rtl
