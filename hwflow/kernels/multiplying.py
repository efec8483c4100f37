"""Layers that multiply by weights, in DSP blocks or LUTs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.errors import HwflowError
from hwflow.kernels.layer import HardwareLayer

Unit = Literal["dsp", "lut"]


class MultiplyingLayer(HardwareLayer):
    """A layer whose second input is weights, and which may be made on several units."""

    ROLE = "linear"

    def units(self, model: ModelWrapper) -> Mapping[Unit, onnx.NodeProto]:
        """The node as it would be on each unit that it can have."""
        return {"lut": self.onnx_node}

    def copy(self, op: str = "", **attributes: object) -> onnx.NodeProto:
        """The node, of another type and with other attributes."""
        node = onnx.NodeProto()
        node.CopyFrom(self.onnx_node)
        node.op_type = op or node.op_type
        for name, value in attributes.items():
            getCustomOp(node).set_nodeattr(name, value)
        return node

    def on_luts(self, model: ModelWrapper, op: str = "") -> onnx.NodeProto:
        """The node on a unit of LUTs, which keeps weights of -1 and +1 in a bit each."""
        weights = model.get_initializer(self.onnx_node.input[1])
        binary: dict[str, Any] = {}
        if np.all(np.abs(weights) == 1):
            binary = {"weightDataType": "BIPOLAR"}
        return self.copy(op, resType="lut", **binary)

    def check_no_thresholds(self) -> None:
        """Make sure that the sums are what comes out.

        Raises:
            HwflowError: thresholds are inside the layer.
        """
        if not self.get_nodeattr("noActivation"):
            raise HwflowError(
                f"{self.onnx_node.name}: a layer with thresholds inside is not emulated"
            )
