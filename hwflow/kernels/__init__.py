"""RTL kernels of hwflow's own, for layers that FINN+ has no RTL of on 7-series parts.

Each kernel is a folder: the SystemVerilog beside the FINN custom op that parametrises it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """A kernel: its name, FINN op, rate, and what it does in a line."""

    name: str
    op: str
    cycles: str
    summary: str


KERNELS = (
    Kernel(
        "channelwise_add",
        "ChannelwiseAdd_rtl",
        "pixels * C / PE",
        "an integer of its own added to each channel",
    ),
    Kernel(
        "channelwise_mul",
        "ChannelwiseMul_rtl",
        "pixels * C / PE",
        "each channel multiplied by an integer of its own, in LUTs or DSP blocks",
    ),
    Kernel(
        "duplicate_streams",
        "DuplicateStreams_rtl",
        "vectors * NumChannels / PE",
        "copies of a stream; a consumer that stalls costs the others nothing but time",
    ),
    Kernel(
        "elementwise_add",
        "ElementwiseAdd_rtl",
        "vectors * channels / PE",
        "sum of two streams of integers, of any widths and signs",
    ),
    Kernel(
        "global_acc_pool",
        "GlobalAccPool_rtl",
        "pixels * C / PE",
        "sum of each channel over all pixels",
    ),
    Kernel(
        "label_select",
        "LabelSelect_rtl",
        "max(Labels / PE, K)",
        "indices of the greatest logits, integer biases added; lowest index first among equals",
    ),
    Kernel(
        "lut_mvau",
        "LutMVAU_rtl",
        "pixels * (MW / SIMD) * (MH / PE)",
        "matrix-vector product of 1 to 8 bit weights and inputs, without DSPs",
    ),
    Kernel(
        "pool",
        "Pool_rtl",
        "output pixels * window * C / PE",
        "maximum, sum or average rounded down of each channel over a window",
    ),
    Kernel(
        "streaming_concat",
        "StreamingConcat_rtl",
        "vectors * channels / SIMD",
        "channels of several streams joined, of any widths and signs",
    ),
    Kernel(
        "streaming_split",
        "StreamingSplit_rtl",
        "vectors * channels / SIMD",
        "channels of a stream shared out to several",
    ),
    Kernel(
        "upsample",
        "UpsampleNearestNeighbour_rtl",
        "output pixels * C / SIMD",
        "pixels repeated in their row and by rows, whole factors",
    ),
    Kernel(
        "vvau",
        "VVAU_rtl",
        "pixels * (window / SIMD) * (Channels / PE)",
        "depthwise product of 1 to 8 bit weights and inputs, in LUTs or DSPs",
    ),
    Kernel(
        "width_converter",
        "WidthConverter_rtl",
        "max(beats in, beats out)",
        "the same numbers with more or fewer a beat, at full rate for any ratio",
    ),
    Kernel(
        "xnor_mvau",
        "XnorMVAU_rtl",
        "pixels * (MW / SIMD) * (MH / PE)",
        "matrix-vector product of binary weights and inputs, by XNOR and popcount, without DSPs",
    ),
)


def register() -> None:
    """Make the kernels' ops known to FINN+, whose settings must be set up before."""
    import hwflow.kernels.channelwise_add
    import hwflow.kernels.channelwise_mul
    import hwflow.kernels.duplicate_streams
    import hwflow.kernels.elementwise_add
    import hwflow.kernels.global_acc_pool
    import hwflow.kernels.label_select
    import hwflow.kernels.lut_mvau
    import hwflow.kernels.pool
    import hwflow.kernels.streaming_concat
    import hwflow.kernels.streaming_split
    import hwflow.kernels.upsample
    import hwflow.kernels.vvau
    import hwflow.kernels.width_converter
    import hwflow.kernels.xnor_mvau
