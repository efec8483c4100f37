"""ChannelwiseAdd: a constant of its own added to each channel."""

from hwflow.kernels.channelwise_add.op import ChannelwiseAdd_rtl

__all__ = ["ChannelwiseAdd_rtl"]
