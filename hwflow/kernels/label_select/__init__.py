"""LabelSelect: the index of the greatest of a frame's numbers, biases added first."""

from hwflow.kernels.label_select.op import LabelSelect_rtl

LAYER = LabelSelect_rtl
