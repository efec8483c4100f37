"""StreamingConcat: joins the channels of several streams."""

from hwflow.kernels.streaming_concat.op import StreamingConcat_rtl

__all__ = ["StreamingConcat_rtl"]
