"""ChannelwiseAdd: a constant of its own added to each channel."""

from hwflow.kernels.channelwise_add.op import ChannelwiseAdd_rtl

LAYER = ChannelwiseAdd_rtl
