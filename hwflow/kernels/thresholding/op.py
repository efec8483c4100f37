"""The layer of thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow import thresholding as operation
from finn.custom_op.fpgadataflow.rtl import thresholding_rtl as finn
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from hwflow.kernels.arithmetic import Layer
from hwflow.kernels.finn_library import STREAMS, FinnLayer, core_module, unused_axilite
from hwflow.kernels.layer import Range, magnitude
from hwflow.kernels.thresholding.memory import write_thresholds
from hwflow.kernels.thresholding.steps import TABLE, Steps, TableSteps, even_steps

_CORE = """\
	{name} core (
		.ap_clk(ap_clk), .ap_rst_n(ap_rst_n),
		{axilite},
		.in1_V_TDATA('0), .in1_V_TVALID(1'b0), .in1_V_TREADY(),
{streams}
	);"""


class Thresholding_rtl(FinnLayer, finn.Thresholding_rtl):
    """Integers (..., C) to `ActVal` + the number of their channel's thresholds that they reach.

    Thresholds are (C, K), ascending, or (1, K) for all channels. With a BIPOLAR output there is one
    threshold, and -1 below it.
    """

    BASE = operation.Thresholding
    KERNEL = "thresholding"
    SUMMARY = "integers to the number of their channel's thresholds that they reach"
    RATE = "vectors * NumChannels / PE"
    SUFFIX = "thresholds"
    ROLE = "activation"

    def sizes(self) -> dict[str, int]:
        """Channels."""
        return {"pe": int(self.get_nodeattr("NumChannels"))}

    def emulation(self, model: ModelWrapper, windows: Any, known: Range) -> Layer:
        """A scale and an offset, a table or comparisons, whichever is fastest and exact."""
        thresholds = self.parameter(model, 1)
        binary = self.get_output_datatype() == DataType["BIPOLAR"]
        base, factor = (-1, 2) if binary else (int(self.get_nodeattr("ActVal")), 1)
        channels = self.get_nodeattr("NumChannels")
        low, high = (np.resize(end, channels) for end in known)
        if len(thresholds) == 1:  # One function for all channels, however the tensor is seen.
            low, high = low.min(keepdims=True), high.max(keepdims=True)
        even = even_steps(thresholds, low, high, base, factor)
        if even is not None:
            return even
        least, greatest = int(low.min()), int(high.max())
        if len(thresholds) * (greatest - least + 1) <= TABLE:
            return TableSteps(thresholds, least, greatest, base, factor)
        rows = np.broadcast_to(thresholds, (channels, thresholds.shape[1]))
        incoming = model.get_tensor_datatype(self.onnx_node.input[0])
        return Steps(rows, max(magnitude(incoming), int(np.abs(rows).max())), base, factor)

    def output_range(self, model: ModelWrapper, inputs: Sequence[Range]) -> Range:
        """The steps that the ends of the input's range reach."""
        thresholds = self.parameter(model, 1)
        channels = len(inputs[0][0])
        if len(thresholds) > channels:  # Each number of a flattened image has its own.
            low, high = (np.tile(end, len(thresholds) // channels) for end in inputs[0])
        else:
            low, high = inputs[0]
        steps = [(thresholds <= end[:, None]).sum(axis=1) for end in (low, high)]
        if self.get_output_datatype() == DataType["BIPOLAR"]:
            bounds = [2 * count - 1 for count in steps]
        else:
            bounds = [count + self.get_nodeattr("ActVal") for count in steps]
        lowest, highest = (bound.reshape(-1, channels) for bound in bounds)
        return lowest.min(axis=0), highest.max(axis=0)

    def minimize_weight_bit_width(self, model: ModelWrapper, datatype_only: bool = False) -> Any:
        """Give thresholds as many bits as their values need.

        FINN's way, but for thresholds of -1 and 0: it takes the least of them for a binary number.
        """
        name = self.onnx_node.input[1]
        thresholds = model.get_initializer(name)
        if thresholds.min() != -1 or thresholds.max() > 0:
            return super().minimize_weight_bit_width(model, datatype_only)
        self.set_nodeattr("weightDataType", "INT2")
        model.set_tensor_datatype(name, DataType["INT2"])
        return DataType["INT2"]

    # -------------------------------------------------------------------------------- RTL

    def generate_params(self, model: ModelWrapper, path: str) -> None:
        """The memories of thresholds; FINN's files can have more stages than the layer."""
        write_thresholds(
            Path(path),
            self.onnx_node.name,
            model.get_initializer(self.onnx_node.input[1]),
            self.get_nodeattr("PE"),
            self.get_input_datatype(1).bitwidth(),
        )

    def connection(self) -> str:
        """FINN's core without its configuration ports."""
        axilite = unused_axilite(protection=False)
        name = self.onnx_node.name
        return core_module(self, _CORE.format(name=name, axilite=axilite, streams=STREAMS))
