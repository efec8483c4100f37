"""The layer that is a queue."""

from __future__ import annotations

from finn.custom_op.fpgadataflow import streamingfifo as operation
from finn.custom_op.fpgadataflow.rtl import streamingfifo_rtl as finn

from hwflow.kernels.finn_library import FinnLayer
from hwflow.kernels.layer import TransparentLayer


class StreamingFIFO_rtl(FinnLayer, TransparentLayer, finn.StreamingFIFO_rtl):
    """A queue of `depth` words."""

    BASE = operation.StreamingFIFO
    KERNEL = "fifo"
    SUMMARY = "a queue between layers"
    RATE = "beats"
    SUFFIX = "fifo"

    def sizes(self) -> dict[str, int]:
        """It carries what comes."""
        return {}

    def queue(self) -> tuple[int, int]:
        """Its depth, and bits of a word."""
        return int(self.get_nodeattr("depth")), int(self.get_instream_width_padded())
