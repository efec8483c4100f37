"""Passes that choose an RTL implementation for each hardware layer, and name the layers."""

from __future__ import annotations

import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation

from hwflow.errors import HwflowError

RTL = "finn.custom_op.fpgadataflow.rtl"
# FINN+ has these in RTL for every part, hwflow's own kernels are the others.
IMPLEMENTATIONS = {
    "Thresholding": "Thresholding_rtl",
    "MVAU": "MVAU_rtl",
    "LabelSelect": "LabelSelect_rtl",
    "StreamingFIFO": "StreamingFIFO_rtl",
    "StreamingDataWidthConverter": "WidthConverter_rtl",
}


class SpecialiseToRtl(Transformation):
    """Give every hardware layer its RTL implementation.

    FINN's own pass falls back to HLS, which needs a vendor tool, by rules that are fixed in it;
    here RTL is the only choice and its lack an error.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Specialise every node that is not specialised yet."""
        for node in model.graph.node:
            if node.domain == RTL:
                continue
            implementation = IMPLEMENTATIONS.get(node.op_type)
            if implementation is None:
                raise HwflowError(
                    f"{node.name}: the operation {node.op_type} has no RTL implementation",
                    hint=f"hardware takes {', '.join(IMPLEMENTATIONS)}",
                )
            if node.op_type == "MVAU" and self._is_binary(model, node):
                implementation = "XnorMVAU_rtl"
            node.op_type = implementation
            node.domain = RTL
            getCustomOp(node).set_nodeattr("exec_mode", "cppsim")
        return model, False

    @staticmethod
    def _is_binary(model: ModelWrapper, node: onnx.NodeProto) -> bool:
        binary = DataType["BIPOLAR"]
        return all(model.get_tensor_datatype(name) == binary for name in node.input[:2])


class NameLayers(Transformation):
    """Name layers by what they are and their place: these names are in folding files, RTL modules
    and reports. `linear0` is the first linear layer, `linear0_thresholds` its activation."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Name every node of the chain, from input to output."""
        layer, count = "input", 0
        for node in model.graph.node:
            kind = node.op_type.removesuffix("_rtl")
            if kind in {"MVAU", "XnorMVAU"}:
                layer = f"linear{count}"
                node.name = layer
                count += 1
            elif kind == "Thresholding":
                node.name = f"{layer}_thresholds"
            elif kind == "LabelSelect":
                node.name = "label"
        names = [node.name for node in model.graph.node]
        for node in model.graph.node:
            if names.count(node.name) > 1:
                raise HwflowError(f"two layers are named {node.name}")
        return model, False
