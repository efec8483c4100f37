"""The pass that gives binary activations and weights the form that hardware layers take."""

from __future__ import annotations

import numpy as np
import onnx
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.infer_datatypes import InferDataTypes

from hwflow.kernels.catalogue import implementation
from hwflow.kernels.multiplying import MultiplyingLayer
from hwflow.kernels.thresholding.op import Thresholding_rtl
from hwflow.kernels.windows.reading import ImagePreparation

BINARY, NUMBER = DataType["BIPOLAR"], DataType["INT2"]


class WidenBipolar(Transformation):
    """Give a binary activation (-1, +1) two bits where the next layer computes with numbers.

    XNOR and popcount need both operands binary; a multiplier, an adder or a padding with zeros
    needs numbers. The step from -1 to +1 becomes two steps at one threshold, so no hardware is
    added but the wider stream. Binary weights that meet wider activations become two-bit numbers
    too.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Widen every such activation."""
        wide = _numbers(model)
        for node in model.graph.node:
            thresholding = issubclass(implementation(model, node), Thresholding_rtl)
            if thresholding and node.output[0] in wide:
                thresholds = model.get_initializer(node.input[1])
                model.set_initializer(node.input[1], np.repeat(thresholds, 2, axis=1))
                layer = getCustomOp(node)
                layer.set_nodeattr("numSteps", 2)
                layer.set_nodeattr("ActVal", -1)
                layer.set_nodeattr("outputDataType", NUMBER.name)
        for name in wide:
            model.set_tensor_datatype(name, NUMBER)
        for node in model.graph.node:
            layer = implementation(model, node)
            if issubclass(layer, MultiplyingLayer):
                self._widen_weights(model, node)
            elif issubclass(layer, ImagePreparation) and node.input[0] in wide:
                # FINN's padding can't even say that it pads binary numbers.
                getCustomOp(node).set_nodeattr("inputDataType", NUMBER.name)
        return model.transform(InferDataTypes()), False

    @staticmethod
    def _widen_weights(model: ModelWrapper, node: onnx.NodeProto) -> None:
        binary = _is_binary(model, node.input[1])
        if binary and not implementation(model, node).TAKES_BINARY:
            model.set_tensor_datatype(node.input[1], NUMBER)
            getCustomOp(node).set_nodeattr("weightDataType", NUMBER.name)


def _numbers(model: ModelWrapper) -> set[str]:
    """The binary tensors that have to be numbers."""
    binary = {name for name in model.get_all_tensor_names() if _is_binary(model, name)}
    wide: set[str] = set()
    while True:
        wider = set(wide)
        for node in model.graph.node:
            touched = {name for name in (*node.input, *node.output) if name in binary}
            layer = implementation(model, node)
            if layer(node).keeps_binary():
                wider |= touched if touched & wider else set()
            elif not layer.TAKES_BINARY:
                wider |= {name for name in node.input if name in binary}
        if wider == wide:
            return {name for name in wide if model.get_initializer(name) is None}
        wide = wider


def _is_binary(model: ModelWrapper, name: str) -> bool:
    return bool(model.get_tensor_datatype(name) == BINARY)
