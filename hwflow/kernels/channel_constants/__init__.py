"""Layers with an integer constant for each channel: what they share, in Python and in RTL."""

from hwflow.kernels.channel_constants.op import ChannelConstants

__all__ = ["ChannelConstants"]
