"""StreamingConcat: joins the channels of several streams."""

from hwflow.kernels.streaming_concat.op import StreamingConcat_rtl

LAYER = StreamingConcat_rtl
