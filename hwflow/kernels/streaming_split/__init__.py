"""StreamingSplit: shares out the channels of a stream."""

from hwflow.kernels.streaming_split.op import StreamingSplit_rtl

__all__ = ["StreamingSplit_rtl"]
