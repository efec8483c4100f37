"""ConvolutionInputGenerator: every window of an image, FINN+'s core."""

from hwflow.kernels.windows.op import ConvolutionInputGenerator_rtl

LAYER = ConvolutionInputGenerator_rtl
