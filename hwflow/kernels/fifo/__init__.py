"""StreamingFIFO: a queue, FINN+'s core."""

from hwflow.kernels.fifo.op import StreamingFIFO_rtl

LAYER = StreamingFIFO_rtl
