"""ElementwiseAdd: the sum of two streams of integers, of any widths and signs."""

from hwflow.kernels.elementwise_add.op import ElementwiseAdd_rtl

LAYER = ElementwiseAdd_rtl
