"""The FINN custom op of the StreamingConcat kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.concat import StreamingConcat
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.kernel_op import KernelOp
from hwflow.kernels.layer import Range
from hwflow.kernels.streaming_concat.emulation import Concatenation
from hwflow.kernels.wrapper import packed


class StreamingConcat_rtl(KernelOp, StreamingConcat):
    """Concatenation of tensors (..., ChannelsPerStream[i]) along the channels.

    Streams carry SIMD channels a beat, which divides every stream's channels; their datatypes
    may differ, and the output's holds the numbers of all. A frame takes the sum of the channels
    / SIMD cycles for each vector.
    """

    BASE = StreamingConcat
    KERNEL = "streaming_concat"
    SUMMARY = "channels of several streams joined, of any widths and signs"
    RATE = "vectors * channels / SIMD"
    KIND = "concat"
    SOURCE = Path(__file__).with_name("streaming_concat.sv")

    def sizes(self) -> dict[str, int]:
        """What divides the channels of every stream."""
        return {"simd": math.gcd(*self.get_nodeattr("ChannelsPerStream"))}

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """Channels side by side."""
        return Concatenation(self.get_nodeattr("numInputVectors")[1:])

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """Those of the streams, side by side."""
        counts = self.get_nodeattr("ChannelsPerStream")
        parts = [
            (np.tile(low, count // len(low)), np.tile(high, count // len(high)))
            for (low, high), count in zip(inputs, counts, strict=True)
        ]
        low, high = zip(*parts, strict=True)
        return np.concatenate(low), np.concatenate(high)

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs: a multiplexer of the streams for each bit that goes out, and the order of turns.

        Fitted to Yosys 0.70, synth_xilinx, 2 to 8 streams, 4 to 128 bits: within 12 %, and 15
        LUTs less where a stream has narrower elements than go out.
        """
        streams = len(self.get_nodeattr("ChannelsPerStream"))
        return int(self.get_outstream_width() * -(-(streams - 1) // 3) + 4 * streams)

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the layer's module."""
        simd, channels = self.get_nodeattr("SIMD"), self.get_nodeattr("ChannelsPerStream")
        types = [self.get_input_datatype(i) for i in range(len(channels))]
        bits = [datatype.bitwidth() for datatype in types]
        self.write_module(
            {
                "STREAMS": len(channels),
                "SIMD": simd,
                "OUT_BITS": self.get_output_datatype().bitwidth(),
                "ALL_BITS": sum(bits),
                "BEATS": packed([count // simd for count in channels], 32),
                "IN_BITS": packed(bits, 32),
                "SIGNED": packed([int(datatype.signed()) for datatype in types], 1),
                "BIPOLAR": packed([int(t == DataType["BIPOLAR"]) for t in types], 1),
            }
        )
