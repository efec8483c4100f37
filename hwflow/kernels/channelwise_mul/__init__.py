"""ChannelwiseMul: each channel multiplied by a constant of its own."""

from hwflow.kernels.channelwise_mul.op import ChannelwiseMul_rtl

LAYER = ChannelwiseMul_rtl
