"""DuplicateStreams: copies a stream for several consumers."""

from hwflow.kernels.duplicate_streams.op import DuplicateStreams_rtl

LAYER = DuplicateStreams_rtl
